"""Learning one model of a build: read, learn, evaluate, save. Nothing is done when nothing changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.models.artifact import ModelArtifact, current_build, load_model, read_head, save_model
from personalization_pipelines.models.evaluation.offline_evaluation import (
    evaluate,
    evaluation_fingerprint,
    questions,
    target_event,
)
from personalization_pipelines.models.evaluation.ranking_metrics import Drop, metric_drop
from personalization_pipelines.models.forms.form import Learned
from personalization_pipelines.models.learner import Learner
from personalization_pipelines.models.matrices.read_features import feature_fingerprint, read_training_data
from personalization_pipelines.models.matrices.training_data import TrainingData
from personalization_pipelines.models.named_items import banned_items, moved_items
from personalization_pipelines.models.parameters import Learning, Model
from personalization_pipelines.models.registry import learner
from personalization_pipelines.website.one_build import Build

HISTORY = "evaluations.jsonl"
KEPT_EVALUATIONS = 400
PREVIEW_ROWS = 10

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ModelReport:
    """What a build of a model did; `preview` are the first places of its first list, for people to look at."""

    name: str
    type: str
    build_id: str
    fingerprint: str
    unchanged: bool
    seconds: float
    items: int
    lists: int
    events: int
    users: int
    metrics: dict[str, float] = field(default_factory=dict)
    floor_metrics: dict[str, float] = field(default_factory=dict)
    preview: tuple[dict[str, object], ...] = ()


def train(build: Build, name: str, progress: Progress | None = None) -> ModelReport:
    """Learn the website's model `name` as of the build, save it as the current one, and report.

    Skipped, with `unchanged` True, where the current build has the same fingerprint: same code, parameters,
    blacklist, features and day. Raises NotBuiltYet for what does not exist yet, CorruptData where features
    are missing or broken.
    """
    begun = time.perf_counter()
    tell = progress or (lambda text: None)
    model = _model(build, name)
    learns = learner(model, build.website)
    wanted = _fingerprint(build, model, learns)
    directory = build.models / name
    made = _unchanged(directory, wanted)
    if unchanged := made is not None:
        tell(f"{name}: unchanged")
    else:
        tell(f"{name}: reading features")
        data = read_training_data(build, learns.events, model.build)
        tell(f"{name}: learning from {len(data.interactions):,} entries")
        learned = learns.learn(data)
        metrics, floor = _metrics(directory, build, model, learns, data, tell)
        save_model(directory, _artifact(build, name, model, wanted, data, learned, metrics, floor))
        made = load_model(directory)
    return _report(made, unchanged, time.perf_counter() - begun)


def is_current(build: Build, name: str) -> bool:
    """Tell whether a model's current build was learned from what its features hold now."""
    model, place = _model(build, name), current_build(build.models / name)
    return place is not None and read_head(place)["fingerprint"] == _fingerprint(
        build, model, learner(model, build.website)
    )


def metrics_history(build: Build, name: str) -> list[dict[str, Any]]:
    """Return a model's evaluations, oldest first: `fingerprint`, `as_of`, `cut`, `metrics`, `floor_metrics`."""
    return _history(build.models / name)


def quality_drop(build: Build, name: str) -> Drop:
    """Compare the newest evaluation's HR@10 with those before it."""
    values = [record["metrics"]["HR@10"] for record in metrics_history(build, name)]
    return metric_drop(values[:-1], values[-1] if values else None)


def _history(directory: Path) -> list[dict[str, Any]]:
    try:
        lines = (directory / HISTORY).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _model(build: Build, name: str) -> Model:
    try:
        return build.website.models[name]
    except KeyError:
        known = ", ".join(build.website.models) or "none"
        raise ConfigurationError(f"website {build.website.name} has no model {name!r}; it has: {known}") from None


def _fingerprint(build: Build, model: Model, learns: Learner) -> str:
    website = build.website
    return fingerprint(
        code=learns.version,
        model=model.model_dump(mode="json"),
        weights=dict(website.event_weights),
        zone=website.time_zone,
        freshness=website.freshness.models,
        features={name: feature_fingerprint(build, name) for name in learns.features},
        blacklist=sorted(banned_items(website.models.values(), website, moved_items(build.features))),
        as_of=f"{build.as_of:%Y-%m-%dT%H}" if learns.hourly else build.day.isoformat(),
    )


def _unchanged(directory: Path, wanted: str) -> ModelArtifact | None:
    place = current_build(directory)
    if place is None or read_head(place)["fingerprint"] != wanted:
        return None
    return load_model(place)


def _metrics(
    directory: Path, build: Build, model: Model, learns: Learner, data: TrainingData, tell: Progress
) -> tuple[dict[str, float], dict[str, float]]:
    """Return metrics and floor, from the kept evaluations where the same was asked before."""
    if not isinstance(model, Learning):
        return {}, {}
    target = target_event(model, data, build.website.strong_event)
    key = evaluation_fingerprint(data, target, model, learns)
    history = _history(directory)
    kept = next((record for record in reversed(history) if record["fingerprint"] == key), None)
    if kept is None:
        asked = questions(data, target)
        if asked is None:
            return {}, {}
        tell(f"{model.type}: asking {len(asked.visitors):,} visitors")
        found = evaluate(asked, model, learns)
        kept = {"fingerprint": key, "as_of": build.as_of.isoformat(), "cut": asked.train.day}
        kept |= {"metrics": found.metrics, "floor_metrics": found.floor_metrics}
        _keep(directory, [*history, kept])
    return kept["metrics"], kept["floor_metrics"]


def _keep(directory: Path, history: list[dict[str, Any]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f".{HISTORY}-{os.getpid()}"
    with partial.open("w") as file:
        file.writelines(json.dumps(record, sort_keys=True) + "\n" for record in history[-KEPT_EVALUATIONS:])
        file.flush()
        os.fsync(file.fileno())
    partial.replace(directory / HISTORY)


def _artifact(
    build: Build,
    name: str,
    model: Model,
    wanted: str,
    data: TrainingData,
    learned: Learned,
    metrics: dict[str, float],
    floor: dict[str, float],
) -> ModelArtifact:
    return ModelArtifact(
        name=name,
        type=model.type,
        build_id=f"{build.as_of:%Y%m%dT%H%M%SZ}-{wanted}",
        fingerprint=wanted,
        as_of=build.as_of.isoformat(),
        item_types=data.index.types,
        items=data.index.ids,
        parts=learned.parts,
        parameters=model.model_dump(mode="json"),
        metrics=metrics,
        floor_metrics=floor,
        counts={**learned.counts, "lists": learned.lists},
    )


def _report(made: ModelArtifact, unchanged: bool, seconds: float) -> ModelReport:
    return ModelReport(
        name=made.name,
        type=made.type,
        build_id=made.build_id,
        fingerprint=made.fingerprint,
        unchanged=unchanged,
        seconds=seconds,
        items=len(made.items),
        lists=made.counts["lists"],
        events=made.counts.get("events", 0),
        users=made.counts.get("users", 0),
        metrics=made.metrics,
        floor_metrics=made.floor_metrics,
        preview=preview(made),
    )


def preview(made: ModelArtifact) -> tuple[dict[str, object], ...]:
    """Return the first ten places of a list that a person may look at."""
    example = made.answer.example()
    if example is None:
        return ()
    of, rows, scores = example
    name = of if isinstance(of, str) else made.items[of]
    pairs = zip(rows[:PREVIEW_ROWS].tolist(), scores[:PREVIEW_ROWS].tolist(), strict=True)
    return tuple({"list": name, "item": made.items[row], "score": round(score, 6)} for row, score in pairs)
