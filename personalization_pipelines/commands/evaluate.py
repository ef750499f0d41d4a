"""`personalization evaluate`: the offline evaluation of the current models, one row a model."""

from __future__ import annotations

from typing import Any

from personalization_pipelines.commands.tables import Row, Shown, Table
from personalization_pipelines.foundation.errors import PermanentError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.artifact import current_build, read_head
from personalization_pipelines.website import Website

COLUMNS = ("HR@10", "NDCG@10", "Recall@20", "MRR", "coverage", "novelty")
NAMES = ("model", "state", "as_of", *COLUMNS, "HR@10 low", "HR@10 high", "users", "HR@10 of popularity")


def evaluation_table(home: Home, website: Website, only: str | None) -> Table:
    """Return the table of one model or all; PermanentError where nothing is built or the model is unknown."""
    if only is not None and only not in website.models:
        raise PermanentError(f"website {website.name} has no model {only!r}; it has {', '.join(website.models)}")
    rows = [_row(home, website, name) for name in ([only] if only else website.models)]
    if all(row["state"] == "not built yet" for row in rows):
        raise PermanentError(f"no model of {website.name} is built; run `personalization build`")
    metrics = (Shown(name, lambda row, name=name: _figure(row[name])) for name in COLUMNS[1:])  # type: ignore[misc]
    columns = (
        Shown("model", lambda row: row["model"]), Shown("HR@10", _hit_rate), *metrics,
        Shown("users", lambda row: "" if row["users"] is None else f"{row['users']:,.0f}"),
        Shown("HR@10 of popularity", lambda row: _figure(row["HR@10 of popularity"])),
        Shown("built as of", lambda row: (row["as_of"] or "")[:16]),
    )  # fmt: skip
    return Table(f"{website.name}: evaluation", NAMES, rows, columns)


def _row(home: Home, website: Website, name: str) -> Row:
    directory = home.models(website.name) / name
    row: dict[str, Any] = {**dict.fromkeys(NAMES), "model": name, "state": "not built yet"}
    if current_build(directory) is None:
        return row
    head = read_head(directory)
    metrics, floor = head["metrics"], head["floor_metrics"]
    row |= {"state": "evaluated" if metrics else "not evaluated", "as_of": head["as_of"]}
    row |= {column: metrics[column] for column in NAMES if column in metrics}
    if metrics:
        row["HR@10 of popularity"] = floor.get("HR@10", 0.0)
    return row


def _hit_rate(row: Row) -> str:
    if row["state"] != "evaluated":
        return str(row["state"])
    return f"{_figure(row['HR@10'])} ({_figure(row['HR@10 low'])}, {_figure(row['HR@10 high'])})"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
