"""BLAKE2b of many short texts at once, as RFC 7693 says it, in numpy: a round is done for thousands of texts together.

`hashlib` costs a Python object and three calls a text, which for millions of texts is the larger part of what is done
with them. A text of up to BLOCK bytes is one block, so each is one compression, and one after another in the columns
of a matrix of 64-bit words. numpy only, since the server reads the digests.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BLOCK = 128
"""Bytes of a text that is done here; a longer one is left to `hashlib`."""
FEW = 64
"""Up to so many texts `hashlib` is faster."""
ROWS = 4096
"""Texts of one step: their state (24 words each) stays in the processor's cache."""

Words = NDArray[np.uint64]

_IV = np.array(
    [
        0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
        0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
    ],
    np.uint64,
)  # fmt: skip
_PERMUTATIONS = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_ROUNDS = 12
_DIGEST_BYTES = 8
_FIRST = _IV.copy()
_FIRST[0] ^= np.uint64(0x01010000 ^ _DIGEST_BYTES)  # no key, fan-out and depth 1
_SHIFTS = {by: (np.uint64(by), np.uint64(64 - by)) for by in (32, 24, 16, 63)}


def digests(prefix: bytes, starts: NDArray[np.int64], text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the BLAKE2b of 8 bytes, as little-endian signed numbers, of many texts, each put behind `prefix`.

    Text `i` is `text[starts[i]:starts[i + 1]]`.
    """
    found = np.empty(len(starts) - 1, np.int64)
    state = np.empty((24, min(ROWS, len(found))), np.uint64)
    for first in range(0, len(found), ROWS):
        part = starts[first : first + ROWS + 1]
        found[first : first + ROWS] = _part(prefix, part, text, state)
    return found


def _part(prefix: bytes, starts: NDArray[np.int64], text: NDArray[np.uint8], state: Words) -> NDArray[np.int64]:
    lengths = np.diff(starts)
    if len(lengths) <= FEW or len(prefix) + int(lengths.max()) > BLOCK:
        return _one_by_one(prefix, starts, text)
    blocks = _blocks(prefix, lengths, text[starts[0] : starts[-1]])
    lengths += len(prefix)
    return _compressed(blocks, lengths.view(np.uint64), state[:, : len(lengths)]).view(np.int64)


def _one_by_one(prefix: bytes, starts: NDArray[np.int64], text: NDArray[np.uint8]) -> NDArray[np.int64]:
    first = int(starts[0])
    raw, places = text[first : starts[-1]].tobytes(), (starts - first).tolist()
    found = [blake2b(prefix + raw[start:end], digest_size=_DIGEST_BYTES).digest() for start, end in pairwise(places)]
    return np.frombuffer(b"".join(found), "<i8").astype(np.int64, copy=False)


def _blocks(prefix: bytes, lengths: NDArray[np.int64], text: NDArray[np.uint8]) -> Words:
    """Return the blocks, one a column, without the words that are 0 in all of them."""
    before, longest = len(prefix), int(lengths.max())
    rows = np.zeros((len(lengths), -(-(before + longest) // 8) * 8), np.uint8)
    rows[:, :before] = np.frombuffer(prefix, np.uint8)
    inside = rows[:, before : before + longest]
    if int(lengths.min()) == longest:
        inside[:] = text.reshape(len(lengths), longest)
    else:
        inside[np.arange(longest) < lengths[:, None]] = text
    return np.ascontiguousarray(rows.view("<u8").T, np.uint64)


def _compressed(blocks: Words, lengths: Words, state: Words) -> Words:
    """Return the first word of the hash of each column; `state` is room for the work.

    The four rows of the state are mixed by columns, then by diagonals: a diagonal is a row of which the first words
    stand once more behind it (or the last before it), so that turning it copies one or two of its four words.
    """
    a, b, c, d, spare = state[:4], state[4:9], state[9:15], state[15:20], state[20:24]
    a[:], b[:4], c[:4], d[1:] = (part[:, None] for part in (_FIRST[:4], _FIRST[4:], _IV[:4], _IV[4:]))
    d[1] ^= lengths
    np.invert(d[3], out=d[3])  # the last block
    for number in range(_ROUNDS):
        order = _PERMUTATIONS[number % len(_PERMUTATIONS)]
        _mix((a, b[:4], c[:4], d[1:]), blocks, order[:8], spare)
        b[4], c[4:], d[0] = b[0], c[:2], d[4]
        _mix((a, b[1:], c[2:], d[:4]), blocks, order[8:], spare)
        b[0], c[:2], d[4] = b[4], c[4:], d[0]
    return np.asarray(_FIRST[0] ^ a[0] ^ c[0])


def _mix(rows: tuple[Words, Words, Words, Words], blocks: Words, order: tuple[int, ...], spare: Words) -> None:
    """Do the function G of the RFC for four columns (or diagonals) at once."""
    a, b, c, d = rows
    for half, first, second in ((0, 32, 24), (1, 16, 63)):
        for place, word in enumerate(order[half::2]):
            if word < len(blocks):
                a[place] += blocks[word]
        a += b
        d ^= a
        _rotate(d, first, spare)
        c += d
        b ^= c
        _rotate(b, second, spare)


def _rotate(words: Words, by: int, spare: Words) -> None:
    right, left = _SHIFTS[by]
    np.left_shift(words, left, out=spare)
    np.right_shift(words, right, out=words)
    np.bitwise_or(words, spare, out=words)
