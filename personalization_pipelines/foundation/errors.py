"""The one tree of failures. Each class says whether a rerun can help and what the operator does.

PersonalizationError
├── PermanentError            a rerun of the same input fails the same way
│   ├── ConfigurationError    the website's YAML is wrong: correct the named line
│   ├── InvalidIdentifier     an id is malformed or too long: the sender corrects it
│   ├── ImportRefused         a file cannot be imported as it is: correct file or mapping
│   ├── CorruptData           stored bytes do not match their checksum: restore or rebuild them
│   ├── QualityGateFailed     data broke a declared expectation: look at the rows it names
│   └── NotBuiltYet           a part of the product that does not exist yet was used
└── TransientError            the same call may succeed later
    ├── LogUnavailable        the event log cannot be written (disk full, I/O error)
    │   └── LogUncertain      … and a part may be stored: send it again with the same event ids
    ├── LiveStoreUnavailable  the live store does not answer in time
    ├── ExportUnavailable     a notified export can not be fetched now: its host is away, slow or failing
    ├── StoreUnavailable      an object store does not answer, or an object is being written
    └── Busy                  another process holds the lock of this website's stage
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class PersonalizationError(Exception):
    """Any failure this project raises on purpose; its text is a sentence for the operator."""


class PermanentError(PersonalizationError):
    """A rerun of the same input fails in the same way."""


class TransientError(PersonalizationError):
    """The same call may succeed later, with nothing changed."""


class ConfigurationError(PermanentError):
    """A website's YAML is wrong; the text holds one `file:line: key: sentence` line per problem."""


class InvalidIdentifier(PermanentError, ValueError):
    """An id is malformed or out of bounds; ids are refused, never repaired."""


class ImportRefused(PermanentError):
    """A file cannot be imported as it is; nothing of it was stored."""


class CorruptData(PermanentError):
    """Stored bytes do not match their checksum or their declared shape."""


class QualityGateFailed(PermanentError):
    """Data broke a declared expectation; what was published before keeps serving. `rows` are the broken rules."""

    def __init__(self, sentence: str, rows: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(sentence)
        self.rows = tuple(rows)


class NotBuiltYet(PermanentError):
    """A part of the product that does not exist yet was used."""


class LogUnavailable(TransientError):
    """The event log cannot be written; events are refused, not acknowledged, and nothing of this call was stored.

    `reason` is for everybody to read (it names no path), `since` the time in seconds at which the log failed.
    """

    def __init__(self, sentence: str, *, reason: str = "", since: float = 0.0) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.since = since


class LogUncertain(LogUnavailable):
    """The event log failed in the middle of this call: what it should have stored may be stored, or a part of it."""


class LiveStoreUnavailable(TransientError):
    """The live store did not answer within the deadline."""


class ExportUnavailable(TransientError):
    """A notified export can not be fetched now; its change waits, and is tried again a limited number of times.

    `away` is the host, where it does not answer at all.
    """

    def __init__(self, sentence: str, away: str = "") -> None:
        super().__init__(sentence)
        self.away = away


class StoreUnavailable(TransientError):
    """An object store did not answer, or an object changed while it was read."""


class Busy(TransientError):
    """Another process holds the lock of this website's stage."""
