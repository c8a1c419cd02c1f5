"""Ciphers and keys of EN 13757-7; the home of the ``cryptography`` library.

Only what the modes need: AES-CBC, AES-CTR, AES-CMAC, and the key derivation of mode 7.
"""
from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from mbusgw.model.errors import KeyWrong

BLOCK_BYTES = 16
KEY_BYTES = 16

#: Security mode -> name (EN 13757-7:2018, table 19).
MODES = {
    0: "no encryption",
    1: "manufacturer's own security",
    2: "DES-CBC, IV zero",
    3: "DES-CBC",
    4: "AES-128-CBC, IV zero (national usage)",
    5: "AES-128-CBC",
    7: "AES-128-CBC with derived key",
    8: "AES-128-CTR with CMAC",
    9: "AES-128-GCM",
    10: "AES-128-CCM",
    13: "TLS",
    15: "specific usage",
}


def mode_name(mode: int) -> str:
    """A security mode for a person."""
    return f"mode {mode} ({MODES.get(mode, 'reserved')})"


def require_key(key: bytes) -> bytes:
    """The key, if it can be one at all; ``KeyWrong`` otherwise."""
    if len(key) != KEY_BYTES:
        raise KeyWrong(f"a key has {KEY_BYTES} bytes ({2 * KEY_BYTES} hex digits), this one has {len(key)}")
    return key


def cbc_decrypt(key: bytes, start: bytes, data: bytes) -> bytes:
    """AES-128-CBC without padding; ``data`` is a multiple of 16 bytes, ``start`` the IV. Any thread."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(start)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def cbc_encrypt(key: bytes, start: bytes, data: bytes) -> bytes:
    """The reverse of ``cbc_decrypt``. Any thread."""
    encryptor = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def ctr(key: bytes, start: bytes, data: bytes) -> bytes:
    """AES-128-CTR, the same in both directions; ``start`` is the first counter block. Any thread."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def cmac(key: bytes, data: bytes) -> bytes:
    """AES-128-CMAC (RFC 4493), 16 bytes. Any thread."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def same(left: bytes, right: bytes) -> bool:
    """Compares two MACs in constant time."""
    return hmac.compare_digest(left, right)


def derived_keys(key: bytes, counter: bytes, meter_id: bytes) -> tuple[bytes, bytes]:
    """The keys of mode 7 for telegrams from a meter: (encryption, MAC) (EN 13757-7, 9.6.4, KDF-A). Any thread.

    ``counter`` and ``meter_id`` are the 4 bytes of each, as sent.
    """
    tail = counter + meter_id + b"\x07" * 7
    return cmac(key, b"\x00" + tail), cmac(key, b"\x01" + tail)
