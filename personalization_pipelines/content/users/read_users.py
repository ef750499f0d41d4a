"""What the website knows of single users: the newest version of the table, and what waits in the queue behind it.

The server reads here, for one request of the website's owner at a time: of the table only the row groups that can hold
a visitor are read (it is sorted by visitor). pyarrow is imported by the first call.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from personalization_pipelines.content.users.user_changes import read_queued, waiting_users
from personalization_pipelines.content.users.user_values import open_emails
from personalization_pipelines.content.xml.xml_users import Told
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website

Known = dict[str, dict[str, Told]]
"""What sources say, by visitor and source; attributes as they were sent, e-mail addresses opened."""


def known_of(home: Home, website: Website, visitors: Sequence[str]) -> Known:
    """Return what is known of some visitors (pseudonyms); who is unknown is left out.

    Raises CorruptData where a file is damaged.
    """
    known = _stored(home, website, visitors)
    for queued in map(read_queued, waiting_users(home, website)):
        for user in queued.users:
            if user.visitor in visitors:
                known.setdefault(user.visitor, {})[queued.source] = Told(user.attributes, user.types)
    return {
        visitor: opened
        for visitor, sources in known.items()
        if (opened := {source: _opened(told, visitor, home.key) for source, told in sources.items() if told.attributes})
    }


def _opened(told: Told, visitor: str, key: bytes) -> Told:
    return Told(open_emails(told.attributes, visitor, key), told.types)


def _stored(home: Home, website: Website, visitors: Sequence[str]) -> Known:
    import pyarrow.parquet as pq

    from personalization_pipelines.content.users.user_tables import users_table, with_types

    table = users_table(home, website)
    versions = table.versions()
    if not versions:
        return {}
    rows = with_types(pq.read_table(table.directory / versions[-1].file, filters=[("visitor", "in", list(visitors))]))
    known: Known = {}
    for row in rows.to_pylist():
        told = Told(orjson.loads(row["attributes"]), orjson.loads(row["types"]))
        known.setdefault(row["visitor"], {})[row["source"]] = told
    return known
