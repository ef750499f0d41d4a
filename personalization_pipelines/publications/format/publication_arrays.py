"""From values to the arrays of a publication: the one place where its layout is made. numpy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.form import Form
from personalization_pipelines.models.forms.parts import arrays_of, entries_of
from personalization_pipelines.models.forms.ranked_lists import gather
from personalization_pipelines.publications.format.arrays import Array, Coded, Texts
from personalization_pipelines.publications.read.published_items import item_keys, path_order
from personalization_pipelines.publications.read.published_models import ModelEntry
from personalization_pipelines.publications.read.published_transfers import Row
from personalization_pipelines.publications.read.published_visitors import visitor_key
from personalization_pipelines.scenarios.plan import Plan, PlanModel

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Content:
    """Everything a publication holds, in memory."""

    plan: Plan
    items: Arrays
    categories: tuple[str, ...]
    visitors: Arrays
    models: Sequence[tuple[ModelEntry, Arrays]]
    languages: Arrays = field(default_factory=dict)
    language_names: tuple[str, ...] = ()
    transfers: Sequence[Row] = ()


def item_arrays(
    types: NDArray[np.int32],
    ids: Texts,
    *,
    price_minor: NDArray[np.int64],
    valid_from: NDArray[np.int64],
    valid_to: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    path_starts: NDArray[np.int64],
    paths: Coded,
    attributes: Texts,
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the arrays of `items.bin` and the categories.

    All columns have one element a row, rows in order of type and id; `paths[path_starts[row]:path_starts[row + 1]]`
    are a row's own categories. Raises CorruptData where an item is there twice.
    """
    categories = all_categories(paths.names)
    starts, codes = _own_codes(path_starts, paths, categories)
    keys = item_keys(types, ids)
    order = _stable_order(keys)
    _refuse_twins(types, ids, keys, order)
    arrays: Arrays = {
        "keys": keys[order],
        "key_rows": order.astype(np.int32),
        "types": types,
        "id_starts": ids.starts,
        "id_text": ids.blob,
        "price_minor": price_minor,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "allowed": allowed,
        "category_starts": starts,
        "category_codes": codes,
        "category_ends": category_ends(categories),
        "attribute_starts": attributes.starts,
        "attribute_text": attributes.blob,
    }
    return arrays, categories


def all_categories(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the given category paths and all their ancestors, in path order: what lies below a path follows it."""
    known: set[str] = set()
    for path in set(paths):
        elements = path.strip("/").split("/")
        known.update("/" + "/".join(elements[:depth]) for depth in range(1, len(elements) + 1))
    return tuple(sorted(known - {"/"}, key=path_order))


def category_ends(categories: Sequence[str]) -> NDArray[np.int32]:
    """Return for each category the code after the last one that lies below it."""
    ends = np.zeros(len(categories), np.int32)
    open_codes: list[int] = []
    for code, path in enumerate(categories):
        while open_codes and not path.startswith(categories[open_codes[-1]] + "/"):
            ends[open_codes.pop()] = code
        open_codes.append(code)
    ends[open_codes] = len(categories)
    return ends


def visitor_arrays(
    visitors: Sequence[str],
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    events: NDArray[np.uint8],
    times: NDArray[np.int64],
) -> Arrays:
    """Return the arrays of `visitors.bin`; visitor `i` (a pseudonym) has the events `starts[i]:starts[i + 1]`.

    Raises CorruptData for a visitor that is no pseudonym, or is there twice.
    """
    halves = [visitor_key(visitor) for visitor in visitors]
    if None in halves:
        raise CorruptData(f"visitor {visitors[halves.index(None)]!r} is no pseudonym of 22 characters of base64url")
    keys = np.array(halves, np.int64).reshape(-1, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys = keys[order]
    if bool((keys[1:] == keys[:-1]).all(axis=1).any()):
        raise CorruptData("a visitor is there twice; the history must be sorted by visitor")
    new_starts, places = gather(starts, order)
    return {
        "high": np.ascontiguousarray(keys[:, 0]),
        "low": np.ascontiguousarray(keys[:, 1]),
        "starts": new_starts,
        "rows": rows[places],
        "events": events[places],
        "times": times[places],
    }


def model_arrays(
    model: PlanModel, build_id: str, parameters: dict[str, Any], parts: Mapping[str, Form]
) -> tuple[ModelEntry, Arrays]:
    """Return the entry in `models.json` and the arrays of a model whose rows are the publication's."""
    entry = ModelEntry(
        name=model.name,
        number=model.number,
        type=model.type,
        needs=model.needs,
        build_id=build_id,
        parameters=parameters,
        max_score=max(part.best_score for part in parts.values()),
        parts=entries_of(parts),
    )
    return entry, dict(arrays_of(parts))


def _own_codes(
    starts: NDArray[np.int64], paths: Coded, categories: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return starts and codes of each row's categories, in path order and each once."""
    position = {path: code for code, path in enumerate(categories)}
    written = np.array([position.get("/" + path.strip("/"), -1) for path in paths.names], np.int32)
    codes = written[paths.codes]
    rises = np.diff(codes) > 0
    rises[starts[(starts > 0) & (starts < len(codes))] - 1] = True  # where the next row begins
    if bool(rises.all()) and bool((written >= 0).all()):
        return starts, codes
    return _sorted_codes(np.diff(starts), codes, max(len(categories), 1))


def _sorted_codes(
    lengths: NDArray[np.int64], codes: NDArray[np.int32], below: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return starts and codes of lists of these lengths, each sorted, without what is negative or there before."""
    pairs = np.repeat(np.arange(len(lengths)), lengths) * below + codes
    pairs = np.sort(pairs[codes >= 0])
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # as np.unique, which hashes: ten times the time
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(np.bincount(pairs // below, minlength=len(lengths)), out=starts[1:])
    return starts, (pairs % below).astype(np.int32)


def _stable_order(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what `np.argsort(keys, kind="stable")` does, in a fifth of the time where the keys are hashes.

    Sorting numbers is that much faster than sorting places. The upper bits of a key, with the row in place of the
    lower ones, are in the keys' order unless two keys differ in the lower bits alone, and equal keys are in row order.
    """
    rows = (1 << len(keys).bit_length()) - 1
    order = np.sort((keys & ~rows) | np.arange(len(keys))) & rows
    found = keys[order]
    return order if bool((found[1:] >= found[:-1]).all()) else np.argsort(keys, kind="stable")


def _refuse_twins(types: NDArray[np.int32], ids: Texts, keys: NDArray[np.int64], order: NDArray[np.int64]) -> None:
    sorted_keys = keys[order]
    for place in np.flatnonzero(sorted_keys[1:] == sorted_keys[:-1]):
        one, two = int(order[place]), int(order[place + 1])
        if types[one] == types[two] and ids[one] == ids[two]:
            raise CorruptData(f"item {ids[one]!r} of type {types[one]} is there twice; rebuild the feature `items`")
