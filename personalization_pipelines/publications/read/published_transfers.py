"""Items that were transferred, as a publication carries them: old item to the one that its history counts for.

`transfers.json` holds rows of type and id of the old item, type and id of the new one, sorted; it is left out where
nothing was transferred. The new item need not be published. No arrays: the server reads this once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from personalization_pipelines.foundation.errors import CorruptData

TRANSFERS = "transfers.json"
TRANSFER_COLUMNS = ("source_type", "source", "target_type", "target")

Row = tuple[int, str, int, str]
Transferred = dict[tuple[int, str], tuple[int, str]]
"""New item (type, id) by old one."""


def transferred(rows: Sequence[Row]) -> Transferred:
    """Return published rows as a look-up. Raises CorruptData where they are not what is written above."""
    if not rows or any(one[:2] >= two[:2] for one, two in pairwise(rows)):
        raise CorruptData(f"{TRANSFERS}: the old items are not in order, or there is none; publish again")
    if any(kind < 1 or not item for row in rows for kind, item in (row[:2], row[2:])):
        raise CorruptData(f"{TRANSFERS}: names an item without type or id; publish again")
    found = {(kind, item): (target_type, target) for kind, item, target_type, target in rows}
    for source, target in found.items():
        if target in found:
            raise CorruptData(
                f"{TRANSFERS}: item {source} leads to {target}, which is an old item itself; publish again"
            )
    return found
