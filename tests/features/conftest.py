"""A PostgreSQL database that sorts texts by their bytes, as DuckDB does."""

from __future__ import annotations

import psycopg2
import pytest

from tests.postgres import PostgresServer, postgres_server  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def byte_ordered_url(postgres_server: PostgresServer) -> str:  # noqa: F811
    """The URL of a database made with collation C (DuckDB and Spark compare bytes too)."""
    connection = psycopg2.connect(postgres_server.url())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("create database features template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
    connection.close()
    return postgres_server.url("features")
