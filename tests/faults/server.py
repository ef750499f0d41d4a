"""The real server, started and killed, and the clients that know what it acknowledged."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq

from personalization_pipelines.events.event import decode
from personalization_pipelines.events.lake.event_lake import event_files, ingest
from personalization_pipelines.events.log.event_log import Damage, read_everything, repair, segments
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.load import load_websites
from tests.ports import free_port

WEBSITE = """\
website: shop
customer_id: "00001"
license_key: "1111-2222-3333-4444-5555"
"""
CLIENTS = 8
KEYS_PER_CLIENT = 10**9


def make_home(root: Path) -> Home:
    """Return an installation with one website and no model."""
    home = Home(root)
    home.create()
    (home.websites / "shop.yaml").write_text(WEBSITE)
    return home


class Server:
    """`personalization serve` of one home in a session of its own, so that a kill reaches all its processes."""

    def __init__(self, home: Home, database: str = "", *, workers: int = 1, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.log = home.root / f"server-{self.port}.log"
        self._workers = workers
        self._environment = {
            **os.environ,
            "PERSONALIZATION_HOME": str(home.root),
            "PERSONALIZATION_DATABASE": database,
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "personalization_pipelines", "serve"]
        command += ["--port", str(self.port), "--workers", str(self._workers)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self._listens, 60)

    def kill(self) -> None:
        """Kill -9 the server, its workers and its follower at once."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(20)
        wait_for(lambda: not self._living() and not self._is_open(), 20)

    def terminate(self) -> float:
        """Ask the server to stop; return the seconds it took."""
        assert self._process
        began = time.monotonic()
        self._process.terminate()
        self._process.wait(20)
        return time.monotonic() - began

    def worker(self) -> int:
        """The process id of the one worker."""
        (worker,) = self.workers()
        return worker

    def workers(self) -> list[int]:
        """The process ids of the workers: the children with the server's command line; it listens before they start."""
        assert self._process
        server, found = self._process.pid, list[int]()

        def look() -> bool:
            mine = _command_line(server)  # empty for a moment after the server's process was made
            found[:] = [child for child in self._children() if mine and _command_line(child) == mine]
            return len(found) == self._workers

        wait_for(look, 20)
        return found

    def follower(self) -> int:
        """The process id of the follower; it is waited for, for the server starts it last."""
        found: list[int] = []

        def look() -> bool:
            found[:] = [child for child in self._children() if b"live.follower" in _command_line(child)]
            return bool(found)

        wait_for(look, 20)
        return found[0]

    def _children(self) -> list[int]:
        assert self._process
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/children")  # a thread's children are its own
        return [int(child) for task in tasks for child in task.read_text().split()]

    def _living(self) -> list[str]:
        """The processes of the server's session that have not ended."""
        assert self._process
        living = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                state, _, _, session = path.read_text().rpartition(") ")[2].split()[:4]
                if int(session) == self._process.pid and state != "Z":
                    living.append(path.parent.name)
        return living

    def _listens(self) -> bool:
        assert self._process and self._process.poll() is None, self.log.read_text()
        return self._is_open()

    def _is_open(self) -> bool:
        """Whether the port is listened on; a killed server's is for as long as the last of its threads takes to end."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@dataclass
class Clients:
    """Closed-loop clients with unique keys (the item id). A call whose answer never came is `unknown`."""

    port: int
    pause: float = 0.0
    """Seconds between an answer and the client's next call."""
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        for key in itertools.count(client * KEYS_PER_CLIENT):
            if self._stop.is_set():
                break
            try:
                connection.request("GET", f"/api/00001/click/visitor{key}/1/{key}")
                response = connection.getresponse()
                response.read()
                (self.acknowledged if response.status == 204 else self.refused).add(key)
                if self.pause:
                    self._stop.wait(self.pause)
            except (OSError, http.client.HTTPException):
                self.unknown.add(key)
                connection.close()
                self._stop.wait(0.02)
        connection.close()


@dataclass(frozen=True)
class Count:
    """What clients know against what the log and (where it was looked at) the lake hold."""

    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    stored_though_refused: int
    in_lake: int | None = None
    lost_in_lake: int = 0
    duplicated_in_lake: int = 0

    @property
    def harm(self) -> tuple[int, int, int, int]:
        """Lost and duplicated in the log, lost and duplicated after ingestion: none of it may be."""
        return self.lost, self.duplicated, self.lost_in_lake, self.duplicated_in_lake

    def __str__(self) -> str:
        log = f"{self.acknowledged} acknowledged, {self.stored} stored, {self.lost} lost, {self.duplicated} duplicated"
        if self.in_lake is None:
            return log
        lake = f"{self.in_lake} ingested, {self.lost_in_lake} lost, {self.duplicated_in_lake} duplicated"
        return f"{log}; {lake}"


def count(home: Home, clients: Clients, *, lake: bool = True) -> Count:
    """Repair the log of a server that is dead, read it all, ingest it, and compare. The clients' events are clicks."""
    # a killed process counts as dead while threads of it still end, and with them its files and their locks
    wait_for(lambda: bool(repair(home.log)) or all(segment.sealed for segment in segments(home.log)), 10)
    keys = Counter(key for segment in segments(home.log) for key in _keys(segment.path))
    found = Count(
        acknowledged=len(clients.acknowledged),
        stored=keys.total(),
        lost=len(clients.acknowledged - keys.keys()),
        duplicated=keys.total() - len(keys),
        stored_though_refused=len(clients.refused & keys.keys()),
    )
    if not lake:
        return found
    ingested = ingest_all(home)
    return replace(
        found,
        in_lake=ingested.total(),
        lost_in_lake=len(clients.acknowledged - ingested.keys()),
        duplicated_in_lake=ingested.total() - len(ingested),
    )


def ingest_all(home: Home) -> Counter[int]:
    """Ingest what the log holds, twice, and return the items of all clicks in the lake."""
    website = load_websites(home)[0]["shop"]
    for _ in range(2):
        ingest(home, website)
    files = event_files(home, website)
    tables = [pq.read_table(path, columns=["event", "item"], partitioning=None) for path in files]
    return Counter(
        int(item)
        for table in tables
        for event, item in zip(table["event"].to_pylist(), table["item"].to_pylist(), strict=True)
        if event == "click"
    )


def _keys(path: Path) -> Iterator[int]:
    for found in read_everything(path):
        assert not isinstance(found, Damage), found.error()
        event = decode(found[1])
        if event.event == "click":
            yield int(event.item)


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    """Return when `what` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} seconds: {what}"
        time.sleep(0.01)
