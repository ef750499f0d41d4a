"""What was sent of users over HTTP, from the queue into the table of users, oldest first, each exactly once.

The queue holds pseudonyms and attributes, never the document that was sent: a user's own id and e-mail address may
reach no disk. A change replaces what its source said of its users; without attributes the source says nothing of them
any more. Changes that wait are one version and one row of the import history (journal.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from personalization_pipelines.content.change_queue import Change, changes_directory, pending
from personalization_pipelines.content.import_history import ImportRow, record_import
from personalization_pipelines.content.journal import Journal
from personalization_pipelines.content.users.user_values import Attributes, seal_emails
from personalization_pipelines.content.xml.xml_users import XmlUser
from personalization_pipelines.erasure.tombstones import Forgotten
from personalization_pipelines.events.judging.visitors import visitor_of
from personalization_pipelines.foundation.durable import write_durably
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

USERS = "users"
"""The kind of a queued change of users: a `QueuedUsers` as JSON."""
JOURNAL = "applying-users.json"


class QueuedUser(msgspec.Struct, frozen=True):
    """What is said of one visitor."""

    visitor: str
    attributes: Attributes
    types: dict[str, str] = {}


class QueuedUsers(msgspec.Struct, frozen=True):
    """What one source says of some visitors, the last word on each."""

    source: str
    users: list[QueuedUser]


def queued_users(users: Iterable[XmlUser], website: Website, source: str, key: bytes) -> bytes:
    """Return the body of a change: users as pseudonyms under `key`, their e-mail addresses sealed."""
    made: dict[str, QueuedUser] = {}
    for user in users:
        visitor = visitor_of(user.user, website, key)
        made[visitor] = QueuedUser(visitor, seal_emails(user.attributes, visitor, key), user.types)
    return msgspec.json.encode(QueuedUsers(source, list(made.values())))


def read_queued(change: Change) -> QueuedUsers:
    """Return what a change of the kind USERS says. Raises CorruptData."""
    try:
        return msgspec.json.decode(change.body(), type=QueuedUsers)
    except msgspec.DecodeError as error:
        raise CorruptData(f"change {change.id}: no change of users ({error}); move the file away") from error


def waiting_users(home: Home, website: Website) -> list[Change]:
    """Return the changes of users that wait, oldest first."""
    return [one for one in pending(home, website) if one.kind == USERS]


def apply_user_changes(home: Home, website: Website, *, now: datetime | None = None) -> ImportRow | None:
    """Apply what waits and return the row of the import history that it made; None where nothing waits.

    Raises Busy while another import writes the users.
    """
    from personalization_pipelines.content.users.user_tables import users_table

    moment = (now or datetime.now(UTC)).astimezone(UTC)
    journal, table = Journal(changes_directory(home, website) / JOURNAL), users_table(home, website)
    if not waiting_users(home, website) and not journal.exists():
        return None
    with table.locked():
        waiting = waiting_users(home, website)
        done = journal.catch_up(home, website, table, waiting)
        left = [one for one in waiting if one.id not in done]
        return _apply(home, website, left, journal, moment) if left else None


def forget_waiting(home: Home, website: Website, forgotten: Forgotten) -> None:
    """Write changes that wait again without whom to forget; the caller holds the lock of the users."""
    for change in waiting_users(home, website):
        queued, sent = read_queued(change), int(change.time.timestamp() * 1_000_000)
        left = [one for one in queued.users if forgotten.until(one.visitor) < sent]
        if len(left) < len(queued.users):
            with change.open() as file:
                file.seek(0)
                header = file.readline()
            write_durably(change.path, header, msgspec.json.encode(msgspec.structs.replace(queued, users=left)))


def _apply(home: Home, website: Website, waiting: Sequence[Change], journal: Journal, moment: datetime) -> ImportRow:
    import pyarrow as pa

    from personalization_pipelines.content.users.user_tables import USER_SCHEMA, merge_users, user_row, users_table

    began, forgotten = time.monotonic(), Forgotten(home, website.name)
    last: dict[tuple[str, str], QueuedUser] = {}
    for change in waiting:
        queued, sent = read_queued(change), int(change.time.timestamp() * 1_000_000)
        kept = [one for one in queued.users if forgotten.until(one.visitor) < sent]
        last |= {(one.visitor, queued.source): one for one in kept}
    rows = [user_row(visitor, source, one.attributes, one.types) for (visitor, source), one in sorted(last.items())]
    table = users_table(home, website)
    merged, counts = merge_users(table, pa.Table.from_pylist(rows, USER_SCHEMA))
    transaction = fingerprint(changes=[one.id for one in waiting])
    row = ImportRow(
        moment,
        "users",
        tuple(dict.fromkeys(one.name for one in waiting)),
        transaction=transaction,
        mode="incremental",
        rows=len(rows),
        added=counts.added,
        changed=counts.changed,
        removed=counts.removed,
        seconds=time.monotonic() - began,
        parts=dict.fromkeys((one.id for one in waiting), transaction),
    )
    journal.write(row)
    if counts.any:
        table.add(merged, transaction, moment)
    record_import(home, website, row)
    journal.finish(waiting)
    return row
