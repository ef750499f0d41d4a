"""What Dagster's own storage refuses is a sentence with its directory and what to do, nothing of SQLAlchemy."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from personalization_pipelines.foundation.errors import DiskUnavailable, HistoryUnavailable
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.run_history import history_failures, history_sentence


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("database or disk is full", "the disk is full: free some space there"),
        ("attempt to write a readonly database", "this user may not write there"),
        ("unable to open database file", "this user may not write there"),
        ("database disk image is malformed", "the file is damaged: "),
        ("file is not a database", "the file is damaged: "),
        ("no such table: runs", "the file is damaged: "),
        ("database is locked", "another process holds it"),
        ("something new", "it can not be used: "),
    ],
)
def test_what_sqlite_says_names_the_directory_and_what_to_do(home: Home, said: str, words: str) -> None:
    error = sa.exc.OperationalError("INSERT INTO runs VALUES (?)", {"body": "x"}, sqlite3.OperationalError(said))
    with pytest.raises(HistoryUnavailable) as caught, history_failures(home):
        raise error
    assert str(caught.value).startswith(f"{home.dagster}: Dagster's history: {words}")
    assert "INSERT" not in str(caught.value) and "run it again" in str(caught.value)


def test_the_password_of_postgresql_is_not_repeated(tmp_path: Path) -> None:
    home = Home(tmp_path, "postgresql://me:secret@127.0.0.1/x")
    assert "secret" not in history_sentence(home, sa.exc.OperationalError("", {}, Exception("secret")))


def test_what_the_file_system_refuses_names_file_and_advice() -> None:
    assert str(DiskUnavailable.of(OSError(28, "No space left on device", "/x/y"))) == (
        "/x/y: no space left on device; free some space on that disk, then run it again"
    )
    assert "give this user the right to it" in str(DiskUnavailable.of(PermissionError(13, "Permission denied", b"/x")))
