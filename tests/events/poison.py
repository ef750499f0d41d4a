"""Records that stand in the log with a right checksum and are no events: what damage, strangers and foes leave."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.events.lakes import MONDAY

NAMES = ("item", "visitor", "scenario", "model", "currency", "event", "trigger")


def poison(count: int, seed: int = 1) -> list[bytes]:
    """Return so many different records, of every kind in turn."""
    chance = random.Random(seed)
    kinds = list(KINDS.values())
    return [kinds[number % len(kinds)](chance) for number in range(count)]


def said(**changes: Any) -> dict[str, Any]:
    """Return a click as the log holds it, with what is wrong about it."""
    return {"website": "shop", "event": "click", "received_at": MONDAY, "time": MONDAY, "visitor": "v"} | changes


def written(**changes: Any) -> bytes:
    return json.dumps(said(**changes), separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _random_bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 400))


def _torn(chance: random.Random) -> bytes:
    whole = written(item=str(chance.random()))
    return whole[: chance.randrange(1, len(whole))]


def _other_json(chance: random.Random) -> bytes:
    return chance.choice([b"null", b"[]", b"7", b'"click"', b"{}", b"[{}]", b"true"]) + b" " * chance.randrange(50)


def _wrong_type(chance: random.Random) -> bytes:
    name = chance.choice(["received_at", "time", "visitor", "item_type", "item", "quantity", "categories", "segments"])
    wrong: list[Any] = [{}, [[]], {"a": 1}, True, [{"b": None}], 1.5]
    return written(**{name: chance.choice(wrong)}, order_id=str(chance.random()))


def _wrong_website(chance: random.Random) -> bytes:
    names: list[Any] = [None, 7, "", "SHOP", "../../etc", "shop\0", "a b", [], {}, "-", "s" * 64, "shop/", "\u202eshop"]
    return written(website=chance.choice(names), order_id=str(chance.random()))


def _two_websites(chance: random.Random) -> bytes:
    return written()[:-1] + b',"order_id":"%d","website":"forum"}' % chance.randrange(10**9)


def _huge_number(chance: random.Random) -> bytes:
    name = chance.choice(["item_type", "quantity", "rating", "percentage", "price_minor", "time", "received_at"])
    size = chance.choice([1 << 63, 1 << 64, 1 << 70, 10**30, 10**200]) + chance.randrange(1000)
    return written(**{name: chance.choice([size, -1 - size])})


def _slightly_too_large(chance: random.Random) -> bytes:
    name, bits = chance.choice([("item_type", 31), ("quantity", 31), ("rating", 15), ("percentage", 15)])
    return written(**{name: (1 << bits) + chance.randrange(5)}, order_id=str(chance.random()))


def _no_number(chance: random.Random) -> bytes:
    word = chance.choice([b"NaN", b"Infinity", b"-Infinity", b"1e300", b"1e999", b"0x10", b"01", b"1.0000001"])
    name = chance.choice([b"quantity", b"time", b"rating"])
    return written()[:-1] + b',"order_id":"%d","%b":%b}' % (chance.randrange(10**9), name, word)


def _deep(chance: random.Random) -> bytes:
    depth, name = chance.randrange(2000, 60_000), chance.choice([b"categories", b"unknown"])
    return written()[:-1] + b',"%b":%b%b}' % (name, b"[" * depth, b"]" * depth)


def _future(chance: random.Random) -> bytes:
    return written(time=MONDAY + 86_400_000_000 * chance.randrange(2, 5000) + chance.randrange(10**6))


def _no_time(chance: random.Random) -> bytes:
    name, time = chance.choice(["time", "received_at"]), chance.choice([-1, 4_102_444_800_000_000, 9 * 10**18])
    return written(**{name: time - chance.randrange(1000) if time < 0 else time + chance.randrange(1000)})


def _control(chance: random.Random) -> bytes:
    text = f"a{chr(chance.randrange(32))}{chance.random()}"
    return written(**{chance.choice(NAMES): text})


def _surrogate(chance: random.Random) -> bytes:
    text = f"a{chr(chance.randrange(0xD800, 0xE000))}{chance.random()}"
    changes = {chance.choice(NAMES): text}
    if chance.random() < 0.5:
        return written(**changes)  # as bytes that are no UTF-8
    return json.dumps(said(**changes)).encode()  # as an escape


def _too_long(chance: random.Random) -> bytes:
    return written(**{chance.choice(NAMES): f"{chance.random()}" + "x" * chance.randrange(1025, 20_000)})


def _other_encoding(chance: random.Random) -> bytes:
    text = json.dumps(said(order_id=str(chance.random())))
    return text.encode(chance.choice(["utf-16", "utf-32", "utf-8-sig"]))


def _two_documents(chance: random.Random) -> bytes:
    return written(order_id=str(chance.random())) + chance.choice([b"x", b"{}", b",", written()])


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "random bytes": _random_bytes,
    "torn": _torn,
    "other JSON": _other_json,
    "wrong type": _wrong_type,
    "wrong website": _wrong_website,
    "two websites": _two_websites,
    "huge number": _huge_number,
    "slightly too large": _slightly_too_large,
    "no number": _no_number,
    "deep": _deep,
    "future": _future,
    "no time": _no_time,
    "control character": _control,
    "surrogate": _surrogate,
    "too long": _too_long,
    "other encoding": _other_encoding,
    "two documents": _two_documents,
}
