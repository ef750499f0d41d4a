"""The usual answer as JSON text at once: no attributes, no categories, no explanation, numeric ids.

`responses.answer_value` says what an answer looks like; this writes the same bytes in half the time, and a test
holds the two together. Every text that goes in is a number or made of URL characters, so nothing needs escaping.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.recommending.question import Answer, ContextItem, Recommended
from serving.recommending.responses import Links, Writing


def plain_json(answer: Answer, writing: Writing, viewers: Sequence[int] | None) -> bytes | None:
    """Return the answer as JSON, None where it is not a usual one."""
    links = writing.links
    if not writing.numeric_ids or writing.attributes or writing.category or answer.levels:
        return None
    if links is not None and not links.plain:
        return None
    context = ",".join([_context(one, viewers[n] if viewers else None) for n, one in enumerate(answer.context)])
    items = ",".join(_items(answer.items, links))
    return f'{{"contextItems":[{context}],"recommendationItems":[{items}]}}'.encode("ascii")


def _context(one: ContextItem, viewers: int | None) -> str:
    seen = "" if viewers is None else f',"viewers":{viewers}'
    return f'{{"itemId":{int(one.item)},"itemType":{one.item_type}{seen},"sources":["{one.source}"]}}'


def _items(items: Sequence[Recommended], links: Links | None) -> list[str]:
    """Return the recommended items; those with the same origin share its text."""
    written: list[str] = []
    origins: dict[int, str] = {}  # by identity: hashing the values takes longer than writing them
    for one in items:
        origin = origins.get(id(one.origin))
        if origin is None:
            origin = origins[id(one.origin)] = _origin(one.origin)
        kind = one.item_type
        start = f'{{"itemId":{int(one.item)},"itemType":{kind},"relevance":{one.relevance}{origin}'
        if links is None:
            written.append(f'{start},"attributes":[]}}')
        else:
            end = f"{kind}/{one.item}{links.before}{one.number}{links.after}{links.sign(one.number, kind, one.item)}"
            called = f'"clickRecommended":"{links.click}{end}","rendered":"{links.rendered}{end}"'
            written.append(f'{start},"links":{{{called}}},"attributes":[]}}')
    return written


def _origin(origin: tuple[ContextItem, ...]) -> str:
    if not origin:
        return ""
    ids = ",".join([str(int(one.item)) for one in origin])
    first = origin[0]
    return f',"origin":{{"itemIds":[{ids}],"itemType":{first.item_type},"source":"{first.source}"}}'
