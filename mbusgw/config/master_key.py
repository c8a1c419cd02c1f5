"""The master key that meters' keys are encrypted with: from a file, or from systemd.

``LoadCredential=mbusgw-master-key`` in the unit (systemd.exec(5)) takes it from ``/etc/credstore``; systemd then
shows it to the service alone, below ``$CREDENTIALS_DIRECTORY``.
"""
from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CREDENTIAL = "mbusgw-master-key"
KEY_BYTES = 32
_FORM = f"holds no key of {KEY_BYTES} bytes as 64 hex digits or base64; make one with: openssl rand -hex {KEY_BYTES}"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key, or why there is none. **immutable**

    ``source``: the file, None where none is configured. ``trouble``: a file is configured, and cannot be used.
    """

    key: bytes | None = field(default=None, repr=False)
    source: Path | None = None
    trouble: str = ""


def find_master_key(file: Path | None, environ: Mapping[str, str]) -> MasterKey:
    """The key in ``file`` or, where that is None, in systemd's credential. Any thread.

    A file that cannot be used is no error but ``trouble``: telegrams are still taken in, and wait.
    """
    source = file or _credential(environ)
    if source is None:
        return MasterKey()
    try:
        content = source.read_bytes()
    except OSError as error:
        return MasterKey(None, source, f"{source} cannot be read: {error.strerror}")
    key = _decoded(content)
    return MasterKey(key, source, "" if key is not None else f"{source} {_FORM}")


def _credential(environ: Mapping[str, str]) -> Path | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder) / CREDENTIAL if folder else None
    return file if file is not None and file.exists() else None


def _decoded(content: bytes) -> bytes | None:
    text = content.strip()
    if len(content) == KEY_BYTES and not re.fullmatch(rb"[ -~]+", text):  # raw, as some key stores hand it out
        return content
    if re.fullmatch(rb"[0-9A-Fa-f]{64}", text):
        return bytes.fromhex(text.decode())
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None
