"""How a feature table lies on disk: a Parquet file, and beside it what it was made of and what is in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from personalization_pipelines.features.table_columns import column_digests, sha256
from personalization_pipelines.foundation.sql_names import quoted

FORMAT = 2
"""Raised when tables lie on disk in another way; those of before are then built again."""


@dataclass(frozen=True)
class StoredTable:
    """A table as its sidecar `<table>.json` describes it: what it was made of, and the SHA-256 of file and columns."""

    path: Path
    fingerprint: str
    rows: int
    sha256: str
    columns: Mapping[str, str]

    @classmethod
    def of(cls, path: Path) -> StoredTable | None:
        """Return the table at `path`; None where the sidecar is nothing or not about this file."""
        try:
            told = json.loads(path.with_suffix(".json").read_text())
            if told["bytes"] != path.stat().st_size:
                return None
            return cls(path, str(told["fingerprint"]), int(told["rows"]), str(told["sha256"]), dict(told["columns"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def describe(cls, path: Path, fingerprint: str, inputs: Mapping[str, object], rows: int) -> StoredTable:
        """Write the sidecar of a file that was just written; `inputs` tell a person what it was made of."""
        digest, columns = sha256(path), column_digests(path)
        told = {
            "fingerprint": fingerprint,
            "inputs": inputs,
            "rows": rows,
            "bytes": path.stat().st_size,
            "sha256": digest,
            "columns": columns,
        }
        sidecar = path.with_suffix(".json")
        temporary = sidecar.with_name(f".{sidecar.name}.{os.getpid()}")
        temporary.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
        temporary.replace(sidecar)
        return cls(path, fingerprint, rows, digest, columns)

    @property
    def sql(self) -> str:
        """Return a DuckDB query for its rows."""
        return f"select * from read_parquet({quoted(self.path)})"  # noqa: S608 - our own path


def forget(path: Path) -> None:
    """Remove the sidecar of a table that is to be written, and what format 1 kept beside it: the rows that changed."""
    path.with_suffix(".json").unlink(missing_ok=True)
    for kind in ("rows", "gone"):
        for beside in path.parent.glob(f"{path.stem}.{kind}-*.parquet"):
            beside.unlink()
