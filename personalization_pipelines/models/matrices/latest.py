"""What one build's models share: kept while the next model asks for the same, and forgotten when one asks for another.

One value at a time, so that a process that builds many websites holds the tables of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Latest(Generic[Value]):
    """Remembers the value of the latest key; safe to ask from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[Hashable, Value] | None = None

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return what `make()` gave for `key`; the value of another key is let go before `make` is called."""
        with self._lock:
            if self._held is None or self._held[0] != key:
                self._held = None
                self._held = (key, make())
            return self._held[1]
