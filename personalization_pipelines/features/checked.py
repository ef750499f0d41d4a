"""Remembers that a table kept its contract: the same bytes under the same contract are not checked twice.

Only what passed is remembered; a broken table is looked at again, with its values, every time.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from personalization_pipelines.quality.findings import CheckReport, CheckRow


def remembered(path: Path, state: str) -> CheckReport | None:
    """Return the report on the table at `path` in this `state` (a fingerprint), None if there is none."""
    try:
        content = json.loads(_place(path).read_text())
        if content["state"] != state:
            return None
        rows = tuple(CheckRow(**{**row, "sample": tuple(row["sample"])}) for row in content["rows"])
        return CheckReport(content["name"], rows, content["note"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # nothing readable is remembered: the table is checked


def remember(path: Path, state: str, report: CheckReport) -> CheckReport:
    """Keep a report that passed, and return it."""
    if report.passed:
        place = _place(path)
        partial = place.with_name(f".{place.name}.{os.getpid()}")
        partial.write_text(json.dumps({"state": state, **asdict(report)}, indent=1, sort_keys=True) + "\n")
        partial.replace(place)
    return report


def _place(path: Path) -> Path:
    return path.with_suffix(".checked.json")
