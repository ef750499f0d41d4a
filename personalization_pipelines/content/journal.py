"""What is about to be applied from the queue, written down first, so that a crash applies nothing twice.

After a crash the next refresh finds the row of the history that was about to be made, and sees from the table's
versions whether it was: then only the row and the removal from the queue are caught up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from personalization_pipelines.content.catalogue.versions import VersionedTable
from personalization_pipelines.content.change_queue import Change, done
from personalization_pipelines.content.import_history import ImportRow, is_recorded, record_import
from personalization_pipelines.foundation.durable import write_durably
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website


class Journal:
    """The file beside the queue that says what is being applied; whoever uses it holds the table's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether something was begun and not finished."""
        return self.path.exists()

    def write(self, row: ImportRow) -> None:
        """Say what is about to be applied, durably."""
        write_durably(self.path, msgspec.json.encode(row))

    def finish(self, changes: Sequence[Change]) -> None:
        """Remove what was applied from the queue, then the journal."""
        for change in changes:
            done(change)
        self.path.unlink()

    def catch_up(self, home: Home, website: Website, table: VersionedTable, waiting: Sequence[Change]) -> set[str]:
        """Complete what a crash interrupted after `table` had it; return the ids of its changes."""
        try:
            row = msgspec.json.decode(self.path.read_bytes(), type=ImportRow)
        except FileNotFoundError:
            return set()
        except msgspec.DecodeError as error:
            raise CorruptData(f"{self.path}: {error}; remove it, and its changes are applied again") from error
        recorded = is_recorded(home, website, row.transaction)
        if not recorded and all(one.import_id != row.transaction for one in table.versions()):
            self.path.unlink()  # nothing was applied: its changes wait as all others do
            return set()
        if not recorded:
            record_import(home, website, row)
        self.finish([one for one in waiting if one.id in row.parts])
        return set(row.parts)
