"""Which database the live store may be: `sqlite:///path` or PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa

from personalization_pipelines.foundation.errors import ConfigurationError

EXPECTED = "expected sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def with_options(own: str, url: sa.URL) -> str:
    """Return PostgreSQL's `options` of a connection: our own, and after them those that the URL asks for."""
    asked = url.query.get("options", ())
    return " ".join([own, *([asked] if isinstance(asked, str) else asked)])


def parse_live_url(text: str) -> sa.URL:
    """Return the URL with its driver; ConfigurationError if it is none or of another database.

    `postgresql://` and `postgres://` mean psycopg2 here: SQLAlchemy 2.1 would take psycopg 3 for them.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ConfigurationError(f"PERSONALIZATION_DATABASE is not a database URL; {EXPECTED}") from error
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg2")
    if url.drivername == "postgresql+psycopg2" or (url.drivername in ("sqlite", "sqlite+pysqlite") and url.database):
        return url
    raise ConfigurationError(f"PERSONALIZATION_DATABASE names the driver {url.drivername!r}; {EXPECTED}")
