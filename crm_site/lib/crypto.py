"""Protected values: AES-GCM under versioned keys of the bank, an HMAC blind index, masking by kind.

Ciphertext layout: version byte, 12-byte nonce, ciphertext with tag. The additional data binds it to
bank, table, column and the row's natural key, so that a value moved to another row does not open.
The bank's data key is wrapped by the master key (BANYAN_MASTER_KEY, 32 bytes base64url).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALGORITHM_VERSION = 1


class Unreadable(ValueError):
    """The ciphertext does not open: wrong key, wrong row or tampered."""


def master_key(text: str) -> bytes:
    """The 32 bytes behind BANYAN_MASTER_KEY; raises ValueError when it is not 32 bytes of base64url."""
    key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(key) != 32:
        raise ValueError("BANYAN_MASTER_KEY must be 32 bytes, base64url-encoded")
    return key


def new_wrapped_key(master: bytes, bank_code: str) -> bytes:
    """A fresh data key for a bank, wrapped by the master key."""
    nonce = os.urandom(12)
    return nonce + AESGCM(master).encrypt(nonce, os.urandom(32), f"bank:{bank_code}".encode())


def rewrapped(wrapped: bytes, master: bytes, *, bank_code: str, new_code: str) -> bytes:
    """The same data key for another code. Raises Unreadable when the master key is not the one that wrapped it."""
    try:
        data_key = AESGCM(master).decrypt(wrapped[:12], wrapped[12:], f"bank:{bank_code}".encode())
    except Exception as error:
        raise Unreadable("the bank's key does not open with this master key") from error
    nonce = os.urandom(12)
    return nonce + AESGCM(master).encrypt(nonce, data_key, f"bank:{new_code}".encode())


@dataclass(frozen=True)
class Vault:
    """Opens and closes one bank's protected values. `bank_id`: the number they are bound to (`Bank.sealed_as`)."""

    bank_id: int
    _cipher: AESGCM
    _index_key: bytes

    @classmethod
    def open(cls, *, bank_id: int, bank_code: str, wrapped: bytes, master: bytes) -> Vault:
        data_key = AESGCM(master).decrypt(wrapped[:12], wrapped[12:], f"bank:{bank_code}".encode())
        index_key = hmac.digest(data_key, b"blind index", hashlib.sha256)
        return cls(bank_id, AESGCM(data_key), index_key)

    def _aad(self, place: str, row: str) -> bytes:
        return f"{self.bank_id}|{place}|{row}".encode()

    def encrypt(self, value: str, *, place: str, row: str) -> bytes:
        """Ciphertext of a value at `place` ("table.column") in the row with natural key `row`."""
        nonce = os.urandom(12)
        return (
            bytes([ALGORITHM_VERSION])
            + nonce
            + self._cipher.encrypt(nonce, value.encode(), self._aad(place, row))
        )

    def decrypt(self, ciphertext: bytes, *, place: str, row: str) -> str:
        """The value behind a ciphertext; raises Unreadable when it was moved, tampered with or of another key."""
        blob = bytes(ciphertext)
        if not blob or blob[0] != ALGORITHM_VERSION:
            raise Unreadable("unknown ciphertext version")
        try:
            return self._cipher.decrypt(blob[1:13], blob[13:], self._aad(place, row)).decode()
        except Exception as error:
            raise Unreadable("ciphertext does not open at this place") from error

    def blind_index(self, scheme: str, value: str) -> bytes:
        """16-byte keyed digest for exact search. The same value in two banks has two digests."""
        return hmac.digest(self._index_key, f"{scheme}|{value}".encode(), hashlib.sha256)[:16]


def mask(value: str, *, head: int = 4, tail: int = 4) -> str:
    """What is shown of a protected value by default: 9131••••••••7X."""
    if len(value) <= head + tail:
        return "•" * max(len(value) - 2, 4) + value[-2:]
    return value[:head] + "•" * min(len(value) - head - tail, 10) + value[-tail:]
