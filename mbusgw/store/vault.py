"""Meters' keys at rest: sealed with a master key (AES-256-GCM, NIST SP 800-38D). A home of ``cryptography``."""
from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mbusgw.model.errors import KeyLocked

#: A sealed key reads ``gcm:<name of the master key>:<nonce, cipher text and tag in hex>``.
_MARK = "gcm"
_NONCE_BYTES = 12
_HINT = "give mbusgw the master key under which the keys were stored (storage.master_key_file); nothing is lost"


def fingerprint(key: bytes) -> str:
    """The name under which a meter's key may be spoken of: upper-case SHA-256 of its 16 bytes."""
    return hashlib.sha256(key).hexdigest().upper()


class Vault:
    """Seals and opens meters' keys. **immutable**, any thread

    Without a master key it keeps them as plain hex. ``trouble`` says why a master key that was configured
    cannot be used: then nothing is sealed, and above all nothing is stored unsealed.
    """

    def __init__(self, master: bytes | None = None, *, trouble: str = "") -> None:
        self.trouble = trouble
        self._cipher = AESGCM(master) if master is not None else None
        self.name = master_name(master) if master is not None else None

    @property
    def sealing(self) -> bool:
        """Whether keys are kept encrypted."""
        return self._cipher is not None or bool(self.trouble)

    def seal(self, key: bytes, about: str) -> str:
        """The text to store. ``about`` names whose key it is: under another name it does not open.

        Raises ``KeyLocked`` when the master key cannot be used.
        """
        if self.trouble:
            raise KeyLocked(f"no key can be stored: {self.trouble}", hint=_HINT)
        if self._cipher is None:
            return key.hex()
        nonce = os.urandom(_NONCE_BYTES)
        return f"{_MARK}:{self.name}:{(nonce + self._cipher.encrypt(nonce, key, about.encode())).hex()}"

    def open(self, text: str, about: str) -> bytes:
        """The key in a stored text, sealed or not. Raises ``KeyLocked`` when this master key does not open it."""
        if not is_sealed(text):
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise KeyLocked(f"the stored key of {about} is damaged", hint="set it again") from None
        name = text.split(":")[1]
        if self._cipher is None:
            why = self.trouble or "no master key is configured"
            raise KeyLocked(f"the key of {about} is encrypted with master key {name}: {why}", hint=_HINT)
        if name != self.name:
            message = f"the key of {about} is encrypted with master key {name}, and not with {self.name} that is here"
            raise KeyLocked(message, hint=_HINT)
        try:
            sealed = bytes.fromhex(text.rpartition(":")[2])
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError):
            raise KeyLocked(f"the stored key of {about} is damaged", hint="set it again") from None

    def opens(self, text: str, about: str) -> bool:
        """Whether ``open`` works."""
        try:
            self.open(text, about)
        except KeyLocked:
            return False
        return True


def is_sealed(text: str) -> bool:
    """Whether a stored key is encrypted."""
    return text.startswith(f"{_MARK}:")


def master_name(master: bytes) -> str:
    """The eight hex digits by which a master key is told from others."""
    return hashlib.sha256(b"mbusgw master key" + master).hexdigest()[:8].upper()


#: Keys as plain hex.
PLAIN = Vault()
