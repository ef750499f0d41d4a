"""How good the answers are on public data, with 95 % intervals: neighbours against popularity, the same questions.

Online Retail: the last 30 days, items that the visitor had not bought before. RetailRocket: its held-out buys.

Read the intervals with care: they hold the chance of who was asked, not that of choosing among settings. The
defaults of `item_knn` were explored on these two tests (about 130 settings) and B and the half-life chosen on the
rows named `chosen on` (see `models.item_knn`), so none of these sets is untouched. The comparison is with the best
of four popularities, itself picked by its result, and that favours popularity.
"""

from __future__ import annotations

from personalization_pipelines.models.evaluation.offline_evaluation import Evaluation, Questions, evaluate, questions
from personalization_pipelines.models.evaluation.ranking_metrics import paired_difference
from personalization_pipelines.models.registry import learner
from tests.benchmarks.report import Report
from tests.conftest import make_website
from tests.models.public_data import online_retail, retailrocket, retailrocket_validation

POPULARITY: dict[str, dict[str, object]] = {
    "popularity of all time": {"type": "popularity", "event": "buy", "history": "1000d", "aging": "none"},
    "popularity (default)": {"type": "popularity", "event": "buy"},
    "popularity, 60d aging fast": {"type": "popularity", "event": "buy", "history": "60d", "aging": "fast"},
    "popularity, 90d": {"type": "popularity", "event": "buy", "history": "90d", "aging": "none"},
}
NEIGHBOURS: dict[str, dict[str, object]] = {
    "also_bought (newest items)": {"type": "also_bought"},
    "item_knn cosine": {"type": "item_knn", "weighting": "cosine"},
    "item_knn tfidf": {"type": "item_knn", "weighting": "tfidf"},
    "item_knn (default: bm25)": {"type": "item_knn"},
}
DEFAULT = "item_knn (default: bm25)"
REFERENCE = "popularity of all time"
"""The one that the goals name; the best of four is compared with as well."""

EARLIER_WINDOWS = (31, 61, 91)


def run(report: Report) -> None:
    """Measure every data set that is at hand."""
    data = online_retail()
    asked = questions(data, "buy") if data is not None else None
    _measure(report, "online_retail", asked, "above popularity")
    for days in EARLIER_WINDOWS:
        earlier = questions(data.until(data.day - days), "buy") if data is not None else None
        _measure(report, f"online_retail, chosen on, {days - 1} days earlier", earlier, "above popularity")
    found = retailrocket()
    _measure(report, "retailrocket", found[1] if found else None, "above 0.043, cosine on event weights")
    _measure(report, "retailrocket, chosen on, last training buy", retailrocket_validation(), "above popularity")


def _measure(report: Report, name: str, asked: Questions | None, goal: str) -> None:
    if asked is None:
        report.console.print(f"  quality/{name}: skipped, the data set is not at hand")
        return
    found = _evaluated(asked)
    best = max(POPULARITY, key=lambda model: found[model].metrics["HR@10"])
    floor = found[best].metrics["HR@10"]
    for model, one in found.items():
        interval = f"[{one.metrics['HR@10 low']:.4f}, {one.metrics['HR@10 high']:.4f}]"
        report.add(
            f"quality/{name}/{model} HR@10",
            one.metrics["HR@10"],
            f"share of {len(asked.visitors)} {interval}",
            None if model in POPULARITY else floor,
            goal if model == DEFAULT else "",
        )
        report.add(f"quality/{name}/{model} coverage@10", one.metrics["coverage"], "share of items")
    for other in dict.fromkeys([REFERENCE, best]):
        mean, low, high = paired_difference(found[DEFAULT].outcomes.hit, found[other].outcomes.hit)
        unit = f"HR@10 [{low:.4f}, {high:.4f}]"
        report.add(f"quality/{name}/item_knn minus {other}", mean, unit, goal="interval above 0")


def _evaluated(asked: Questions) -> dict[str, Evaluation]:
    names = {f"m{number}": name for number, name in enumerate([*POPULARITY, *NEIGHBOURS])}
    settings = {key: {**POPULARITY, **NEIGHBOURS}[name] for key, name in names.items()}
    website = make_website(models=settings, scenarios={})
    return {names[key]: evaluate(asked, model, learner(model, website)) for key, model in website.models.items()}
