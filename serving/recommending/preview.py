"""The server's answer without a server: for the command line and for the recommendation tests of a publication."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import orjson

from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.identifiers import parse_user_id, pseudonym
from personalization_pipelines.publications.format.publication_manifest import read_current
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.website import Website
from serving.recommending.question import HISTORY_CODES, MAX_NUMBER, LiveHistory, Question
from serving.recommending.request import checked_language
from serving.recommending.responses import Writing, answer_value
from serving.recommending.strategy import compose

NOBODY = "nobody"
"""How the command line and a website's tests call a visitor without a past."""

Context = tuple[tuple[int, str], ...]


def answering(home: Home, website: Website) -> Callable[[Publication, str, str, Context], Sequence[int]]:
    """Return the function that a publication's tests ask: publication, scenario, user, context → item rows.

    Nothing live goes into it: a publication is judged by what it holds, at its own logical time.
    """

    def answer(publication: Publication, scenario: str, user: str, context: Context) -> Sequence[int]:
        plan = publication.plan.scenarios[scenario]
        question = Question(
            now=publication.as_of,
            visitor=_visitor(home, website, user),
            number=MAX_NUMBER,
            items=context,
            output_types=plan.output[:1],
        )
        return [one.row for one in compose(publication, plan, question).items]

    return answer


def answer_json(
    home: Home,
    website: Website,
    scenario: str,
    user: str,
    context: str,
    *,
    count: int = 10,
    explain: bool = False,
    language: str = "",
) -> str:
    """Return the current publication's answer as indented JSON, with the visitor's live history.

    `context` holds item ids and history codes, comma-separated; `language` is "" for any. Raises ConfigurationError
    where nothing is published or there is no such scenario, InvalidIdentifier for a wrong id.
    """
    directory = read_current(home.publications(website.name))
    if directory is None:
        raise ConfigurationError(f"website {website.name}: nothing is published yet; run `personalization build`")
    publication = Publication.open(directory)
    plan = publication.plan.scenarios.get(scenario)
    if plan is None:
        known = ", ".join(publication.plan.scenarios)
        raise ConfigurationError(f"website {website.name}: no scenario is called {scenario!r}; known are {known}")
    texts = [text for text in context.split(",") if text]
    question = Question(
        now=time.time_ns() // 1000,
        visitor=_visitor(home, website, user),
        number=count,
        items=tuple((plan.input, website.item_id(text)) for text in texts if text not in HISTORY_CODES),
        histories=tuple(text for text in texts if text in HISTORY_CODES),
        output_types=plan.output[:1],
        explain=explain,
        language=checked_language(language, website) if language else "",
    )
    answer = compose(publication, plan, question, *_live(home, website, question.visitor))
    writing = Writing(
        publication.items, publication.plan.numeric_ids, (), None, None, category=False, language=language
    )
    return orjson.dumps(answer_value(answer, writing, None), option=orjson.OPT_INDENT_2).decode()


def _visitor(home: Home, website: Website, user: str) -> str:
    known = None if user == NOBODY else parse_user_id(user, website.placeholder_users)
    return "" if known is None else pseudonym(home.key, website.customer_id, known)


def _live(home: Home, website: Website, visitor: str) -> tuple[LiveHistory, LiveHistory]:
    """Return the live history and what was shown; nothing for nobody, or before a server ever ran here."""
    if not visitor:
        return (), ()
    reader = LiveReader(home.live_database, deadline=2.0)
    try:
        return reader.history(website.name, visitor), reader.deliveries(website.name, visitor)
    finally:
        reader.close()
