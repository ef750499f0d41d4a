"""Secrets that have to lie on the disk for a while, sealed under the installation key: AES-256-GCM (NIST SP 800-38D).

Every purpose has a key of its own, derived from the installation key (HKDF-SHA-256, RFC 5869), so that what was
sealed for one purpose opens for no other. A sealed text is version (1 byte), nonce (12 bytes), ciphertext and tag
(16 bytes); sealing the same text twice gives different bytes. Where equal texts must stay equal (what is built twice
has to be the same), AES-SIV (RFC 5297) seals alike: then it can be seen that two texts about the same are the same.
Import this module only where it is used: it brings `cryptography` along.
"""

from __future__ import annotations

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from personalization_pipelines.foundation.errors import CorruptData

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_SIV_KEY_BYTES = 64


def seal(key: bytes, purpose: str, text: bytes) -> bytes:
    """Return `text` encrypted and protected against change, for `purpose` alone; 29 bytes longer than it."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + _cipher(key, purpose).encrypt(nonce, text, _VERSION)


def open_sealed(key: bytes, purpose: str, sealed: bytes) -> bytes:
    """Return what was sealed for `purpose` under `key`.

    Raises CorruptData where the bytes were changed, or sealed under another key or for another purpose.
    """
    nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        if sealed[:1] != _VERSION or len(nonce) < _NONCE_BYTES:
            raise InvalidTag
        return _cipher(key, purpose).decrypt(nonce, encrypted, _VERSION)
    except InvalidTag:
        raise _unopened(purpose) from None


def seal_alike(key: bytes, purpose: str, text: bytes, about: bytes) -> bytes:
    """Return `text` encrypted and protected, the same bytes for the same text about the same; 16 bytes longer."""
    return _alike(key, purpose).encrypt(text, [about])


def open_alike(key: bytes, purpose: str, sealed: bytes, about: bytes) -> bytes:
    """Return what `seal_alike` sealed; raises CorruptData as `open_sealed` does."""
    try:
        return _alike(key, purpose).decrypt(sealed, [about])
    except InvalidTag:
        raise _unopened(purpose) from None


def _cipher(key: bytes, purpose: str) -> AESGCM:
    return AESGCM(_derived(key, purpose, _KEY_BYTES))


@lru_cache(maxsize=16)
def _alike(key: bytes, purpose: str) -> AESSIV:
    return AESSIV(_derived(key, f"{purpose}, alike", _SIV_KEY_BYTES))


def _derived(key: bytes, purpose: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=b"personalization\0" + purpose.encode()).derive(key)


def _unopened(purpose: str) -> CorruptData:
    return CorruptData(
        f"a sealed text for {purpose} can not be opened: it was changed, or sealed under another installation key"
    )
