"""The hashes that find items, against `hashlib`: one text at a time, and the slow way."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pytest

from personalization_pipelines.publications.format.arrays import Texts
from personalization_pipelines.publications.format.blake2b import BLOCK, FEW, ROWS, digests
from personalization_pipelines.publications.read.published_items import item_key, item_keys


def slow(prefix: bytes, texts: Sequence[str]) -> list[int]:
    return [
        int.from_bytes(blake2b(prefix + one.encode(), digest_size=8).digest(), "little", signed=True) for one in texts
    ]


@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 8, 62, 63, BLOCK - 3, BLOCK - 2, BLOCK - 1, 3 * BLOCK])
def test_texts_of_one_length_have_the_hashes_of_hashlib(length: int) -> None:
    texts = [f"{number:0{length}d}"[-length:] if length else "" for number in range(FEW + 10)]
    made = Texts.of(texts)
    assert digests(b"7:", made.starts, made.blob).tolist() == slow(b"7:", texts)


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + FEW + 1])
def test_texts_of_many_lengths_and_scripts_have_the_hashes_of_hashlib(count: int) -> None:
    random = np.random.default_rng(count)
    letters = "abcä€𝄞\0 "
    texts = ["".join(random.choice(list(letters), size)) for size in random.integers(0, BLOCK // 4, count)]
    made = Texts.of(texts)
    assert digests(b"12345:", made.starts, made.blob).tolist() == slow(b"12345:", texts)


def test_a_part_of_longer_texts_begins_where_it_begins() -> None:
    texts = [f"item {number}" for number in range(1000)]
    made = Texts.of(texts)
    assert digests(b"", made.starts[300:801], made.blob).tolist() == slow(b"", texts[300:800])


@pytest.mark.parametrize("runs", [[(1, 3)], [(1, 200), (2, 200), (1, 5)], [(2**31 - 1, 300)], [(1, 1), (2, 1)] * 40])
def test_keys_of_many_items_are_those_of_each(runs: list[tuple[int, int]]) -> None:
    types = [kind for kind, count in runs for _ in range(count)]
    texts = [f"{'ü' * (number % 70)}{number}" for number in range(len(types))]
    found = item_keys(np.array(types, np.int32), Texts.of(texts))
    assert found.tolist() == [item_key(kind, one.encode()) for kind, one in zip(types, texts, strict=True)]
    assert found.dtype == np.int64
