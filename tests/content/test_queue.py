"""A change is queued whole or not at all, waits in order, and leaves once; what can not be applied is kept apart."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from personalization_pipelines.content.change_queue import done, enqueue, pending, reject
from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website


def directory(home: Home, website: Website) -> Path:
    return home.lake(website.name) / "changes"


def test_nothing_waits_in_an_installation_that_was_sent_nothing(home: Home, shop: Website) -> None:
    assert pending(home, shop) == []


def test_changes_wait_in_the_order_they_came_with_all_their_bytes(home: Home, shop: Website) -> None:
    bodies = [b"", b"\n", b'{"name": "not the header"}\nsecond line', bytes(range(256)) * 40]
    ids = [enqueue(home, shop, "items", body, name=f"document {n}\n{n}") for n, body in enumerate(bodies)]
    found = pending(home, shop)
    assert [change.id for change in found] == ids
    assert [change.body() for change in found] == bodies
    assert [change.name for change in found] == [f"document {n}\n{n}" for n in range(4)]
    assert {change.kind for change in found} == {"items"}
    assert all(abs(change.time.timestamp() - time.time()) < 60 for change in found)


def test_the_order_holds_where_the_clock_is_set_back(
    home: Home, shop: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = enqueue(home, shop, "items", b"1", name="first")
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    second = enqueue(home, shop, "items", b"2", name="second")
    assert [change.id for change in pending(home, shop)] == [first, second]


def test_a_change_that_is_done_waits_no_more_and_is_done_twice_without_harm(home: Home, shop: Website) -> None:
    for body in (b"1", b"2"):
        enqueue(home, shop, "items", body, name="")
    first, second = pending(home, shop)
    done(first)
    done(first)
    assert pending(home, shop) == [second]


def test_a_rejected_change_is_kept_with_its_reason(home: Home, shop: Website) -> None:
    enqueue(home, shop, "items", b"bytes", name="n")
    (change,) = pending(home, shop)
    place = reject(change, "item 7: of an unknown type")
    assert pending(home, shop) == []
    assert place.read_bytes().endswith(b"\nbytes")
    assert place.with_name(f"{place.name}.reason").read_text() == "item 7: of an unknown type\n"


def test_half_a_change_is_never_seen_and_goes_after_an_hour(home: Home, shop: Website) -> None:
    enqueue(home, shop, "items", b"whole", name="")
    (whole,) = pending(home, shop)
    half = whole.path.with_name(f".{whole.path.name}.tmp")
    half.write_bytes(b'{"name": "ha')
    assert pending(home, shop) == [whole]
    assert half.exists()
    os.utime(half, (time.time() - 4000,) * 2)
    assert pending(home, shop) == [whole]
    assert not half.exists()


def test_a_disk_that_refuses_leaves_nothing_behind(home: Home, shop: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        enqueue(home, shop, "items", b"bytes", name="")
    assert list(directory(home, shop).iterdir()) == []


def test_a_file_that_no_one_queued_is_said_to_be_none(home: Home, shop: Website) -> None:
    enqueue(home, shop, "items", b"bytes", name="")
    (change,) = pending(home, shop)
    change.path.write_bytes(b"\x00\x00")
    with pytest.raises(CorruptData, match="no change begins like this"):
        pending(home, shop)


@pytest.mark.parametrize("kind", ["", "../x", "a.b", "A", "a" * 40])
def test_a_kind_can_name_no_other_file(home: Home, shop: Website, kind: str) -> None:
    with pytest.raises(ValueError, match="change kind"):
        enqueue(home, shop, kind, b"", name="")


def test_each_website_has_its_own_queue(home: Home, shop: Website) -> None:
    enqueue(home, shop, "items", b"", name="")
    assert pending(home, make_website(website="other")) == []
