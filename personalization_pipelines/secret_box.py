"""Secrets that have to lie on the disk for a while, sealed under the installation key: AES-256-GCM (NIST SP 800-38D).

Every purpose has a key of its own, derived from the installation key (HKDF-SHA-256, RFC 5869), so that what was
sealed for one purpose opens for no other. A sealed text is version (1 byte), nonce (12 bytes), ciphertext and tag
(16 bytes); sealing the same text twice gives different bytes. Import this module only where it is used: it brings
`cryptography` along.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from personalization_pipelines.errors import CorruptData

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32


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
        raise CorruptData(
            f"a sealed text for {purpose} can not be opened: it was changed, or sealed under another installation key"
        ) from None


def _cipher(key: bytes, purpose: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"personalization\0" + purpose.encode()).derive(key))
