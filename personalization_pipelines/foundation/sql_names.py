"""Names of columns and files as SQL writes them. They are the program's own; a home's path may hold any character."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def column_list(columns: Sequence[str]) -> str:
    """Return names of columns as SQL lists them."""
    return ", ".join(f'"{name}"' for name in columns)


def quoted(path: Path) -> str:
    """Return a path as an SQL text literal."""
    return "'" + str(path).replace("'", "''") + "'"
