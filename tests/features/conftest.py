"""A PostgreSQL database that sorts texts by their bytes, as DuckDB does."""

from __future__ import annotations

import psycopg2
import pytest

from tests.postgres import postgres_url  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def byte_ordered_url(postgres_url: str) -> str:  # noqa: F811
    """The URL of a database made with collation C (SQLite, DuckDB and Spark compare bytes too)."""
    url = postgres_url.replace("postgresql+psycopg2://", "postgresql://")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("create database features template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
    connection.close()
    return url.rsplit("/", 1)[0] + "/features"
