"""`personalization evaluate`: the offline evaluation of the current models, one row a model."""

from __future__ import annotations

from rich.table import Table

from personalization_pipelines.foundation.errors import PermanentError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.models.artifact import current_build, read_head
from personalization_pipelines.website import Website

COLUMNS = ("HR@10", "NDCG@10", "Recall@20", "MRR", "coverage", "novelty")


def evaluation_table(home: Home, website: Website, only: str | None) -> Table:
    """Return the table of one model or all; PermanentError where nothing is built or the model is unknown."""
    if only is not None and only not in website.models:
        raise PermanentError(f"website {website.name} has no model {only!r}; it has {', '.join(website.models)}")
    table = Table("model", *COLUMNS, "users", "HR@10 of popularity", "built as of", title=f"{website.name}: evaluation")
    built = 0
    for name in [only] if only else website.models:
        directory = home.models(website.name) / name
        if current_build(directory) is None:
            table.add_row(name, *([""] * (len(COLUMNS) + 2)), "not built yet")
            continue
        built += 1
        head = read_head(directory)
        table.add_row(name, *_cells(head["metrics"], head["floor_metrics"]), head["as_of"][:16])
    if not built:
        raise PermanentError(f"no model of {website.name} is built; run `personalization build`")
    return table


def _cells(metrics: dict[str, float], floor: dict[str, float]) -> list[str]:
    if not metrics:
        return ["not evaluated", *([""] * (len(COLUMNS) + 1))]
    cells = [f"{metrics[name]:.4f}" if name in metrics else "" for name in COLUMNS]
    low, high = metrics["HR@10 low"], metrics["HR@10 high"]
    cells[0] += f" [{low:.4f}, {high:.4f}]".replace("[", "(").replace("]", ")")
    return [*cells, f"{metrics['users']:,.0f}" if "users" in metrics else "", f"{floor.get('HR@10', 0):.4f}"]
