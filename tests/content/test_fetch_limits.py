"""Fetching an export within its limits: of bytes, seconds, memory, look-ups and what a host may say."""

from __future__ import annotations

import gzip
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from personalization_pipelines.content.exports.fetch_export import Limits
from personalization_pipelines.content.exports.resolving import LOOK_UPS, resolve_within
from personalization_pipelines.foundation.errors import ExportUnavailable, ImportRefused
from personalization_pipelines.website.export_hosts import parse_export_address
from tests.content.cms import Cms, answer
from tests.content.fetching import LOGIN, PERMANENT, PLAIN, SHORT, SMALL, TRANSIENT, fetch, fetcher


@pytest.mark.parametrize("name", list(PERMANENT))
def test_what_will_never_work_is_refused_for_good(name: str) -> None:
    given, reason = PERMANENT[name]
    with Cms({"/a?token=Canary-Token-1": given}) as cms, pytest.raises(ImportRefused, match=reason) as error:
        fetch(cms, "/a?token=Canary-Token-1", LOGIN, SMALL)
    assert "Canary" not in str(error.value)


@pytest.mark.parametrize("name", list(TRANSIENT))
def test_what_may_work_later_is_said_so_and_takes_no_longer_than_it_may(name: str) -> None:
    given, reason = TRANSIENT[name]
    limits = SHORT.get(name, SHORT.get(reason, SMALL))
    with Cms({"/a?token=Canary-Token-1": given}) as cms, pytest.raises(ExportUnavailable, match=reason) as error:
        fetch(cms, "/a?token=Canary-Token-1", LOGIN, limits)
    assert "Canary" not in str(error.value)


def test_a_host_that_is_away_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = parse_export_address(f"http://127.0.0.1:{port}/a")
    with pytest.raises(ExportUnavailable, match="no connection within 2 s") as error:
        fetcher(f"http://127.0.0.1:{port}", limits=SMALL).fetch(address, None, io.BytesIO())
    assert error.value.away == f"127.0.0.1:{port}"

    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(ExportUnavailable, match=r"cms\.example\.org: the host has no address now"):
        fetcher("cms.example.org", resolve=nowhere).fetch(
            parse_export_address("https://cms.example.org/a"), None, io.BytesIO()
        )


@pytest.fixture
def silent_resolver() -> Iterator[Callable[[str, int], list[str]]]:
    """A resolver that asks a server which takes every question and answers none; it is free when the server goes."""
    asked: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:

        def ask(host: str, port: int) -> list[str]:
            with socket.create_connection(server.getsockname()) as connection:
                asked.append(connection)
                connection.sendall(host.encode())
                return [connection.recv(100).decode()]

        yield ask
        for one in asked:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
    wait_for_look_ups()


def wait_for_look_ups() -> None:
    for thread in [one for one in threading.enumerate() if one.name.startswith("look-up of ")]:
        thread.join(20)
        assert not thread.is_alive()


def test_a_resolver_that_hangs_holds_a_fetch_for_its_own_few_seconds(
    silent_resolver: Callable[[str, int], list[str]],
) -> None:
    limits = replace(SMALL, resolve_seconds=0.3)
    hanging = fetcher("cms.example.org", "http://127.0.0.1:1", limits=limits, resolve=silent_resolver)
    address, began = parse_export_address("https://cms.example.org/a?token=Canary-Token-1"), time.monotonic()
    said = r"cms\.example\.org: its name was not resolved within 0\.3 s; look at this machine's resolver"
    with pytest.raises(ExportUnavailable, match=said) as error:
        hanging.fetch(address, LOGIN, io.BytesIO())
    assert 0.3 <= time.monotonic() - began < 5
    assert error.value.away == "cms.example.org" and "Canary" not in str(error.value)
    with Cms({"/a": PLAIN}) as cms:
        assert fetch(cms, "/a") == b"{}", "what hangs holds up no other look-up"


def test_resolving_is_within_the_time_for_one_document(silent_resolver: Callable[[str, int], list[str]]) -> None:
    hanging = fetcher("cms.example.org", limits=replace(SMALL, seconds=0.2), resolve=silent_resolver)
    began = time.monotonic()
    with pytest.raises(ExportUnavailable, match=r"not resolved within 0\.2 s"):
        hanging.fetch(parse_export_address("https://cms.example.org/a"), None, io.BytesIO())
    assert time.monotonic() - began < Limits().resolve_seconds


def test_look_ups_that_hang_are_never_more_than_a_few(silent_resolver: Callable[[str, int], list[str]]) -> None:
    hanging = fetcher("cms.example.org", limits=replace(SMALL, resolve_seconds=0.02), resolve=silent_resolver)
    for _ in range(LOOK_UPS + 5):
        with pytest.raises(ExportUnavailable, match="not resolved"):
            hanging.fetch(parse_export_address("https://cms.example.org/a"), None, io.BytesIO())
    assert sum(one.name.startswith("look-up of ") for one in threading.enumerate()) == LOOK_UPS


def test_after_look_ups_that_hung_others_are_answered_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Cms({"/a": PLAIN}) as cms:
        for _ in range(LOOK_UPS):

            def hang(host: str, port: int) -> list[str]:
                with socket.create_connection(server.getsockname()) as connection:
                    connection.settimeout(1)
                    return [connection.recv(100).decode()]

            assert resolve_within(0.01, "cms.example.org", 443, hang) is None
        wait_for_look_ups()
        assert fetch(cms, "/a") == b"{}"


def memory(what: str) -> float:
    """Return MiB of this process that the kernel calls `what`."""
    return int(Path("/proc/self/status").read_text().partition(f"{what}:")[2].split()[0]) / 1024


def fetch_bombs(file: BinaryIO) -> float:
    """Fetch a bomb of 1000:1 and endless documents into a file; return the MiB of memory that it took at the most."""
    bomb = answer(gzip.compress(bytes(200 << 20)), Content_Encoding="gzip")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before = memory("VmRSS")
    for given in (bomb, PERMANENT["endless"][0], PERMANENT["endless chunks"][0]):
        with Cms({"/a": given}) as cms, pytest.raises(ImportRefused):
            limits = Limits(bytes=100 << 20, seconds=60)
            fetcher(cms.entry, limits=limits).fetch(parse_export_address(cms.url("/a")), None, file)
    return memory("VmHWM") - before


def test_bombs_and_endless_documents_cost_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "document").open("wb") as file:
        assert fetch_bombs(file) < 64
    assert (tmp_path / "document").stat().st_size > 100 << 20, "of the endless ones as much as may be was taken"
