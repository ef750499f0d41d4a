"""The items that a website's file names (`editorial`, `blacklist`), by the ids that they have since a transfer.

Who wrote the file knew the old id; the new one is the same item. An editorial id therefore stands for its new one. Of a
blacklist both count: an import may bring the old item back, and what must not be recommended must not by any id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms.form import ItemIndex
from personalization_pipelines.models.parameters import ItemReference, KnownWebsite, Model

BLACKLIST = "blacklist"
"""The model type whose items are recommended nowhere."""
TABLE = "item_transfers"
"""The feature table that says what was transferred to what."""
Item = tuple[int, str]
"""Type and id."""
_COLUMNS = ("source_type", "source", "target_type", "target")


def moved_items(features: Path) -> dict[Item, Item]:
    """Return the new item of each that was transferred, by a build's features. Raises CorruptData without the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = features / f"{TABLE}.parquet"
    try:
        table = pq.read_table(path, columns=list(_COLUMNS))
    except (OSError, pa.ArrowInvalid) as error:
        raise CorruptData(f"{path}: the feature table {TABLE} can not be read; run the features again") from error
    rows = zip(*(table[name].to_pylist() for name in _COLUMNS), strict=True)
    return {(source_type, source): (target_type, target) for source_type, source, target_type, target in rows}


def named_items(items: Iterable[ItemReference], website: KnownWebsite, moved: Mapping[Item, Item]) -> list[Item]:
    """Return the items that a list of the website's file names, in its order; of a transferred one its new one."""
    return [moved.get(item, item) for item in _written(items, website)]


def banned_items(lists: Iterable[Model], website: KnownWebsite, moved: Mapping[Item, Item]) -> frozenset[Item]:
    """Return every item on the blacklists among some models, as it is written and (if transferred) its new one."""
    items = [item for model in lists if model.type == BLACKLIST for item in model.named_items]
    return frozenset([*_written(items, website), *named_items(items, website, moved)])


def _written(items: Iterable[ItemReference], website: KnownWebsite) -> list[Item]:
    return [(item.type, website.item_id(str(item.id))) for item in items]


def rows_of(items: Sequence[Item], index: ItemIndex) -> NDArray[np.int64]:
    """Return the rows of items (type, id), -1 for those that the website does not have."""
    wanted = set(items)
    pairs = enumerate(zip(index.types.tolist(), index.ids, strict=True))
    rows = {pair: row for row, pair in pairs if pair in wanted}
    return np.array([rows.get(item, -1) for item in items], np.int64)


def marked(items: Collection[Item], index: ItemIndex) -> NDArray[np.bool_]:
    """Return for each row whether it is one of these items."""
    marks = np.zeros(len(index), np.bool_)
    rows = rows_of([*items], index)
    marks[rows[rows >= 0]] = True
    return marks
