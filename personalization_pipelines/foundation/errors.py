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
    ├── DiskUnavailable       a file can not be read or written: full disk, missing rights, a directory in its place
    ├── HistoryUnavailable    Dagster's history (what ran, and when) can not be read or written
    ├── LiveStoreUnavailable  the live store does not answer in time
    ├── ExportUnavailable     a notified export can not be fetched now: its host is away, slow or failing
    ├── StoreUnavailable      an object store does not answer, or an object is being written
    └── Busy                  another process holds the lock of this website's stage
"""

from __future__ import annotations

import errno
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


class DiskUnavailable(TransientError):
    """The file system refused; the text names the file and what to do."""

    @classmethod
    def of(cls, error: OSError) -> DiskUnavailable:
        """Return what the file system refused as a sentence."""
        name = error.filename if isinstance(error.filename, str | bytes) else ""
        place = name.decode(errors="replace") if isinstance(name, bytes) else name
        what = error.strerror or str(error) or type(error).__name__
        advice = _ADVICE.get(error.errno or 0, "look at the file and its directory, then run it again")
        return cls(f"{place or 'the file system'}: {what[:1].lower()}{what[1:]}; {advice}")


_RIGHTS = "give this user the right to it, or set PERSONALIZATION_HOME to a directory of its own"
_SPACE = "free some space on that disk, then run it again"
_ADVICE = {
    errno.ENOSPC: _SPACE, errno.EDQUOT: _SPACE, errno.EFBIG: _SPACE,
    errno.EACCES: _RIGHTS, errno.EPERM: _RIGHTS, errno.EROFS: _RIGHTS,
    errno.EIO: "the disk itself fails: look at the system's log before anything else",
    errno.EMFILE: "allow this user more open files (ulimit -n)",
    errno.ENOMEM: "free some memory, then run it again",
    errno.ENOTDIR: "a file stands where a directory is needed: move it away",
    errno.EISDIR: "a directory stands where a file is needed: move it away",
    errno.EEXIST: "something else stands there: move it away",
    errno.ENOENT: "create it, or correct its name",
}  # fmt: skip


class HistoryUnavailable(TransientError):
    """Dagster's history can not be read or written; nothing else is lost by it."""


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
