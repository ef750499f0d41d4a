"""Which website a request is for, and what that website has published: looked at once a second, between requests.

A request takes one `ServedWebsite` at its start and keeps it to its end, so it never sees half of two
publications. What cannot be read is said once in the log, and what was served before keeps being served.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from personalization_pipelines.foundation.errors import ConfigurationError, PersonalizationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.publications.format.publication_manifest import CURRENT, read_current
from personalization_pipelines.publications.read.published import Publication
from personalization_pipelines.website import Website
from personalization_pipelines.website.load import load_websites

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""

Load = Callable[[Home], tuple[dict[str, Website], dict[str, ConfigurationError]]]


@dataclass(frozen=True)
class ServedWebsite:
    """A website as one request sees it. `changed` (seconds since 1970) is when what it answers from last changed."""

    website: Website
    publication: Publication | None = None
    changed: float = 0.0
    problem: str = field(default="", compare=False)


class Websites:
    """All websites of a home, by customer id; one instance a worker process."""

    def __init__(self, home: Home, *, load: Load = load_websites, look_every: float = LOOK_EVERY) -> None:
        self.home = home
        self.problems: dict[str, str] = {}
        self._load = load
        self._look_every = look_every
        self._next_look = 0.0
        self._looking = threading.Lock()
        self._files: list[tuple[str, int, int]] | None = None
        self._configured = 0.0
        self._served: dict[str, ServedWebsite] | None = None

    def by_customer(self, customer_id: str) -> ServedWebsite | None:
        """Return the website of a customer id as it is now, or None where there is none."""
        return self._current().get(customer_id)

    def all(self) -> list[ServedWebsite]:
        """Return every website that could be read."""
        return list(self._current().values())

    def _current(self) -> dict[str, ServedWebsite]:
        """Return the websites; one thread looks at the files when it is time, the others take what is there."""
        now = time.monotonic()
        if self._served is None:
            with self._looking:
                if self._served is None:
                    self._look(now)
        elif now >= self._next_look and self._looking.acquire(blocking=False):
            try:
                self._look(now)
            finally:
                self._looking.release()
        return self._served or {}

    def _look(self, now: float) -> None:
        self._next_look = now + self._look_every
        served = self._with_configuration(self._served or {})
        self._served = {customer: self._with_publication(one) for customer, one in served.items()}

    def _with_configuration(self, served: dict[str, ServedWebsite]) -> dict[str, ServedWebsite]:
        files = _states(self.home.websites)
        if files == self._files:
            return served
        self._files = files
        self._configured = max((changed / 1e9 for _, changed, _ in files), default=0.0)
        websites, problems = self._load(self.home)
        known = {one.website.name: one for one in served.values()}
        for name, problem in problems.items():
            self._say_once(name, f"its configuration is refused, the one before stays: {problem}")
            if name in known:
                websites[name] = known[name].website
        for name in self.problems.keys() - problems.keys():
            del self.problems[name]
        return {
            website.customer_id: replace(known.get(name, ServedWebsite(website)), website=website)
            for name, website in sorted(websites.items(), reverse=True)
        }

    def _with_publication(self, served: ServedWebsite) -> ServedWebsite:
        publications = self.home.publications(served.website.name)
        try:
            switched = (publications / CURRENT).stat().st_mtime
            directory = read_current(publications)
            if directory is None or (served.publication and served.publication.directory == directory):
                publication = served.publication
            else:
                publication = Publication.open(directory)
        except FileNotFoundError:
            return replace(served, problem="nothing is published yet")
        except (PersonalizationError, OSError, ValueError) as error:
            if served.problem != str(error):
                log.error("website %s: publication refused, the one before stays: %s", served.website.name, error)
            return replace(served, problem=str(error))
        return replace(served, publication=publication, changed=max(switched, self._configured), problem="")

    def _say_once(self, name: str, sentence: str) -> None:
        if self.problems.get(name) != sentence:
            log.error("website %s: %s", name, sentence)
        self.problems[name] = sentence


def _states(directory: Path) -> list[tuple[str, int, int]]:
    """Return name, time and size of each YAML file: what changes when a website's configuration changes."""
    if not directory.is_dir():
        return []
    found = [(path, path.stat()) for path in sorted(directory.glob("*.yaml"))]
    return [(path.name, state.st_mtime_ns, state.st_size) for path, state in found]
