"""What every model learns from: the items, and who did what with which of them on which day.

numpy arrays only. Items are rows of one `ItemIndex`; visitors are codes, the positions in the sorted distinct
visitors; nobody is -1. Time is counted in whole days of the website's zone, so that what a model learns is a
function of the build's day and its events, not of the minute the build ran.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.models.forms.form import ItemIndex

NOBODY = -1
DAY_MICROSECONDS = 86_400_000_000
FIRST, LAST = -(2**62), 2**62
EVENT_NAMES = ("click", "consume", "basket", "wishlist", "rate", "buy")


@dataclass(frozen=True)
class Categories:
    """Which rows belong to which category: every path of an item and all its ancestors, once each."""

    names: tuple[str, ...] = ()
    rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    codes: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))


@dataclass(frozen=True)
class Interactions:
    """One entry a visitor, event type, item and day; columns of equal length.

    `event` is the position in `EVENT_NAMES`; `day` counts days since 1970 in the website's zone; `quantity` and
    `events` are the day's sums; `last_time` is in microseconds since 1970, UTC.
    """

    event: NDArray[np.int8]
    visitor: NDArray[np.int32]
    row: NDArray[np.int32]
    day: NDArray[np.int32]
    quantity: NDArray[np.int64]
    events: NDArray[np.int64]
    last_time: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Interactions:
        """Return the chosen entries, in their order."""
        return Interactions(*(getattr(self, column.name)[chosen] for column in fields(self)))

    def where(self, chosen: NDArray[np.bool_]) -> Interactions:
        """Return the entries where `chosen` holds: themselves if all, a view if they lie together, else copies."""
        held = np.flatnonzero(chosen)
        if len(held) == len(self):
            return self
        if not len(held) or held[-1] - held[0] + 1 > len(held):
            return self.select(held)
        part = slice(int(held[0]), int(held[-1]) + 1)
        return Interactions(*(getattr(self, column.name)[part] for column in fields(self)))

    def digest(self, day: int) -> str:
        """Return the SHA-256 over the entries up to `day`. Remembered.

        Visitors enter by their position among those of the entries, because codes shift with every newcomer.
        """
        if day not in self._digests:
            self._digests[day] = self._digest(day)
        return self._digests[day]

    @cached_property
    def _digests(self) -> dict[int, str]:
        return {}

    def _digest(self, day: int) -> str:
        chosen = self.day <= day
        there = np.zeros(int(self.visitor.max(initial=NOBODY)) + 2, np.bool_)
        there[self.visitor[chosen] + 1] = True
        there[0] = False  # nobody is 0, whoever there is
        places = np.cumsum(there, dtype=np.int32)
        digest = hashlib.sha256()
        for column in fields(self):
            values = getattr(self, column.name)[chosen]
            if column.name == "visitor":
                values = places[values + 1]
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    @classmethod
    def empty(cls) -> Interactions:
        """Return no entries."""
        kinds = (np.int8, np.int32, np.int32, np.int32, np.int64, np.int64, np.int64)
        return cls(*(np.zeros(0, kind) for kind in kinds))  # type: ignore[arg-type]


@dataclass(frozen=True)
class TrainingData:
    """Everything a model may look at, as of a day. Times are microseconds since 1970, UTC.

    `day` starts at `day_start`; `hour` is the start of the build's hour, for models that look closer. A model
    serves for `life` after its day. `valid_from`, `valid_to` (FIRST and LAST where open) and `added` (when the
    item became new; FIRST if unknown) have an entry a row. `weights` are the website's event weights, `moved` the
    new item (type, id) of each that was transferred.
    """

    index: ItemIndex
    interactions: Interactions
    visitors: int
    day: int
    day_start: int
    hour: int
    life: int
    blacklisted: NDArray[np.bool_]
    valid_from: NDArray[np.int64]
    valid_to: NDArray[np.int64]
    added: NDArray[np.int64]
    categories: Categories = field(default_factory=Categories)
    weights: Mapping[str, float] = field(default_factory=dict)
    moved: Mapping[tuple[int, str], tuple[int, str]] = field(default_factory=dict)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """False for items that no list may hold: blacklisted, or valid at no moment while the model serves.

        An item that becomes valid, or ends, while the model serves stays: the server looks at the clock.
        """
        end = self.day_start + DAY_MICROSECONDS + self.life
        return ~self.blacklisted & (self.valid_from < end) & (self.valid_to > self.day_start)

    def of(self, events: Collection[str], history: timedelta | None = None) -> Interactions:
        """Return the entries of these event types from the last `history`, counted in whole days, today included."""
        codes = [EVENT_NAMES.index(name) for name in events]
        found = self.interactions
        chosen = np.isin(found.event, np.array(codes, np.int8)) & (found.day <= self.day)
        if history is not None:
            chosen &= found.day > self.day - math.ceil(history / timedelta(days=1))
        return found.where(chosen)

    def until(self, day: int) -> TrainingData:
        """Return what was known at the end of `day`: the data that a build of then would have had."""
        known = self.interactions.where(self.interactions.day <= day)
        return replace(self.at_end_of(day), interactions=known)

    def at_end_of(self, day: int) -> TrainingData:
        """Return the same data with the clock set back to `day`."""
        start = self.day_start - (self.day - day) * DAY_MICROSECONDS
        return replace(self, day=day, day_start=start, hour=start)


def training_data(
    entries: Sequence[tuple[str, str, str, int]],
    *,
    day: int,
    item_types: Mapping[str, int] | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
    blacklist: Collection[str] = (),
    weights: Mapping[str, float] | None = None,
) -> TrainingData:
    """Return data from `(event, visitor, item, day)` tuples, for tests and small experiments.

    Items are those of `item_types` (else of the entries, all of type 1), sorted by type and id; equal tuples
    are one entry with a higher count; the visitor "" is nobody.
    """
    types = dict(item_types) if item_types is not None else {entry[2]: 1 for entry in entries}
    ids = tuple(sorted(types, key=lambda item: (types[item], item)))
    rows = {item: row for row, item in enumerate(ids)}
    visitors = sorted({visitor for _, visitor, _, _ in entries if visitor})
    codes = {visitor: code for code, visitor in enumerate(visitors)} | {"": NOBODY}
    table = np.array(
        [(EVENT_NAMES.index(event), codes[who], rows[item], on) for event, who, item, on in entries], np.int64
    ).reshape(-1, 4)
    distinct, counts = np.unique(table, axis=0, return_counts=True)
    return TrainingData(
        index=ItemIndex(np.array([types[item] for item in ids], np.int32), ids),
        interactions=_interactions(distinct, counts),
        visitors=len(visitors),
        day=day,
        day_start=day * DAY_MICROSECONDS,
        hour=day * DAY_MICROSECONDS,
        life=0,
        blacklisted=np.array([item in blacklist for item in ids], np.bool_),
        valid_from=np.full(len(ids), FIRST, np.int64),
        valid_to=np.full(len(ids), LAST, np.int64),
        added=np.full(len(ids), FIRST, np.int64),
        categories=make_categories(rows, categories or {}),
        weights=weights or dict.fromkeys(EVENT_NAMES, 1.0),
    )


def make_categories(rows: Mapping[str, int], paths: Mapping[str, Sequence[str]]) -> Categories:
    """Return the categories of items whose own paths (`/A/B`) are given, ancestors included."""
    pairs = {(ancestor, rows[item]) for item, own in paths.items() for path in own for ancestor in _ancestors(path)}
    names = sorted({name for name, _ in pairs})
    ordered = sorted((names.index(name), row) for name, row in pairs)
    table = np.array(ordered, np.int32).reshape(-1, 2)
    return Categories(tuple(names), table[:, 1].copy(), table[:, 0].copy())


def _interactions(distinct: NDArray[np.int64], counts: NDArray[np.int64]) -> Interactions:
    event, visitor, row, day = distinct.T
    return Interactions(
        event.astype(np.int8), visitor.astype(np.int32), row.astype(np.int32), day.astype(np.int32),
        counts.copy(), counts.copy(), day * DAY_MICROSECONDS,
    )  # fmt: skip


def _ancestors(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))]
