"""Visitors of whom so much is written that reading their history would take long.

Forgetting looks at every visitor once an hour. Until then one visitor could write a million rows (a call may say
that 500 items were shown), and reading past them would miss a request's deadline: then nobody's live history is
read for a second. So the writer counts, and trims such a visitor at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

TRIMMED_AFTER = 5_000
"""Rows of one visitor since the last time; reading past so many takes some 2 ms."""
VISITORS_COUNTED = 100_000
"""When there are more, counting begins anew: who writes that fast is found before."""

Visitor = tuple[str, str]
"""Website and visitor."""

_visitor = itemgetter(0, 1)


class BusyVisitors:
    """Counts the rows of each visitor since they were last trimmed."""

    def __init__(self) -> None:
        self._rows: Counter[Visitor] = Counter()

    def add(self, rows: Sequence[tuple[Any, ...]]) -> list[Visitor]:
        """Count rows, which begin with website and visitor; return whom to trim now."""
        if len(self._rows) > VISITORS_COUNTED:
            self._rows.clear()
        added = Counter(map(_visitor, rows))
        self._rows.update(added)
        busy = [visitor for visitor in added if self._rows[visitor] >= TRIMMED_AFTER]
        for visitor in busy:
            del self._rows[visitor]
        return busy
