"""Who shops: visitors of the publication that a person can choose from.

A publication holds pseudonyms only. So the ids of a demonstration, which are small numbers, are tried; a
website with other ids has the free entry.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass

from personalization_pipelines.foundation.errors import InvalidIdentifier
from personalization_pipelines.foundation.identifiers import parse_user_id, pseudonym
from personalization_pipelines.publications.read.published import Publication
from serving.shop.catalogue import readable

TRIED = 400
SHOWN = 8
FEWEST = 20
"""Events a visitor must have to be worth choosing."""


@dataclass(frozen=True)
class Shopper:
    """A visitor to choose: the id, how many events are published, and what they were mostly about."""

    user: str
    events: int
    tastes: tuple[str, ...]


def shoppers(publication: Publication, key: bytes, customer_id: str) -> list[Shopper]:
    """Return visitors with different tastes, found among the ids 1 to 400."""
    found: dict[str, Shopper] = {}
    for number in range(1, TRIED + 1):
        user = str(number)
        rows, _, _ = publication.visitors.history(pseudonym(key, customer_id, user))
        if len(rows) < FEWEST:
            continue
        tastes = _tastes(publication, rows.tolist())
        if tastes and tastes[0] not in found:
            found[tastes[0]] = Shopper(user, len(rows), tastes)
        if len(found) == SHOWN:
            break
    return list(found.values())


def _tastes(publication: Publication, rows: list[int]) -> tuple[str, ...]:
    """Return the three categories (second level, else first) that stand out in a history."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update({path.split("/")[1:3][-1] for path in publication.items.paths(row)})
    return tuple(readable(name) for name, _ in counts.most_common(3))


def chosen(text: str | None) -> str | None:
    """Return the user id of a cookie or form field, None where it is absent or no id."""
    try:
        return parse_user_id(text.strip()) if text else None
    except InvalidIdentifier:
        return None


def guest() -> str:
    """Return the id of somebody new."""
    return f"guest-{secrets.token_hex(4)}"
