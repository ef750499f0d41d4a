"""A published shop behind real server processes, and one connection to each of their workers.

Products 1..6 are recommended (6 first); 900001..900040 are in the catalogue only, so that their viewers can be asked
for the first time. Everything a visitor does and everything that is asked goes over HTTP to the worker one means.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from personalization_pipelines.foundation.home import Home
from tests.faults.server import Server, wait_for
from tests.scenarios.publishing import Item, neighbours, ranking
from tests.serving import shopfront
from tests.serving.shopfront import ITEMS, POPULAR, Installation, scenario, write_yaml

RARE = [str(number) for number in range(900_001, 900_041)]
SCENARIOS = {
    "new_to_you": scenario(["top_bought"], already_bought="exclude", already_consumed="exclude", max_repeats=2),
    "page": scenario(["top_bought"]),
    "only_personal": scenario(["for_you"]),
}


def publish_site(root: Path, database: str = "") -> Home:
    """Return an installation whose shop is published."""
    home = Home(root, database)
    home.create()
    publish_again(home)
    write_yaml(home, scenarios=SCENARIOS)
    return home


def publish_again(home: Home) -> None:
    """Publish the same as another publication, and switch to it."""
    models = {name: part for name, part in shopfront.MODELS.items() if name not in ("also_bought", "for_you")}
    models["top_bought"] = ranking(site_1=POPULAR)
    ring = [[((row + 1) % 6, 0.8), ((row + 2) % 6, 0.4)] for row in range(6)]
    models["also_bought"] = models["for_you"] = neighbours(*ring, *[[]] * (len(ITEMS) - 6 + len(RARE)))
    installation = Installation(Home(home.root))
    installation.close()
    items = [*ITEMS, *(Item(1, number) for number in RARE)]
    directory = home.publications("shop")
    number = len(list(directory.iterdir())) if directory.is_dir() else 1
    installation.publish(shopfront.website(scenarios=SCENARIOS), number, items=items, models=models)


class Worker:
    """One worker process of a server, reached over a connection that stays with it."""

    def __init__(self, server: Server, process: int) -> None:
        self.port, self._process = server.port, process
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body; the connection is made again when the server has let go of it."""
        for attempt in (1, 2):
            connection = self._connected()
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
            except (http.client.HTTPException, OSError):
                self.close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def send(self, event: str, user: str, item: str, **parameters: str) -> float:
        """Send an event; return when (monotonic) it was acknowledged."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return self._acknowledged(f"/api/00001/{event}/{user}/1/{item}?{query}")

    def login(self, source: str, target: str) -> float:
        """Send a login; return when it was acknowledged."""
        return self._acknowledged(f"/api/00001/login/{source}/{target}")

    def answer(self, user: str, name: str, query: str = "") -> dict[str, Any]:
        """Return the recommendations; {} where the visitor's history is not enough (409)."""
        status, headers, body = self.get(f"/api/v2/00001/{user}/{name}?{query}")
        assert status in (200, 409), body
        assert "x-live-history" not in headers
        value: dict[str, Any] = json.loads(body) if status == 200 else {}
        return value

    def recommended(self, user: str) -> list[int]:
        """Return what is new to a visitor, as product ids."""
        return [one["itemId"] for one in self.answer(user, "new_to_you", "numrecs=10")["recommendationItems"]]

    def context(self, user: str, code: str) -> list[int]:
        """Return the products that a history code means."""
        return [one["itemId"] for one in self.answer(user, "page", f"contextitems={code}")["contextItems"]]

    def viewers(self, user: str, item: str) -> int:
        """Return how many visitors looked at a product."""
        (found,) = self.answer(user, "page", f"contextitems={item}")["contextItems"]
        count: int = found["viewers"]
        return count

    def publication(self) -> str:
        """Return the id of what the worker serves."""
        found: str = json.loads(self.get("/readyz")[2])["websites"]["shop"]["publication"]
        return found

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _acknowledged(self, path: str) -> float:
        status, _, body = self.get(path)
        assert status == 204, body
        return time.monotonic()

    def _connected(self) -> http.client.HTTPConnection:
        while self._connection is None:  # the kernel chooses the worker that gets a connection
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            if _process_of(connection) == self._process:
                self._connection = connection
            else:
                connection.close()
        return self._connection


def _process_of(connection: http.client.HTTPConnection) -> int:
    """Return the process that answers on a connection."""
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read().decode()
    found = re.search(r'worker="(\d+)"', metrics)
    if found:
        return int(found[1])
    connection.request("GET", "/healthz")  # it has counted nothing so far
    connection.getresponse().read()
    return _process_of(connection)


def workers_of(server: Server) -> list[Worker]:
    """Return every worker of a server that is ready."""
    with_all = [Worker(server, process) for process in server.workers()]
    for worker in with_all:
        wait_for(lambda worker=worker: worker.get("/readyz")[0] == 200, 60)
    return with_all


@contextmanager
def serving_site(root: Path, database: str = "") -> Iterator[list[Worker]]:
    """Two servers of one home, one of them with two workers: three processes that answer."""
    home = publish_site(root, database)
    servers = [Server(home, database), Server(home, database, workers=2)]
    workers: list[Worker] = []
    try:
        for server in servers:
            server.start()
        for server in servers:
            workers += workers_of(server)
        servers[0].follower()
        yield workers
    finally:
        for worker in workers:
            worker.close()
        for server in servers:
            server.kill()


def seconds_until(holds: Callable[[], bool], since: float, patience: float) -> float:
    """Return how long after `since` something held; fail after `patience` seconds."""
    while not holds():
        assert time.monotonic() - since < patience, f"not within {patience} seconds of the acknowledgement"
        time.sleep(0.002)
    return time.monotonic() - since
