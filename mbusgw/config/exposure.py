"""Secrets that everybody on this machine can read."""
from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from mbusgw.config.models import Config
from mbusgw.config.secrets import secret_values

#: Keys of files that hold a secret; a certificate is none, unless the private key stands in the same file.
_SECRET_FILES = ("password_file", "token_file", "master_key_file", "key_file", "tls_key_file")


def exposed(source: Path, config: Config) -> list[str]:
    """A sentence for each file with secrets, ``source`` itself among them, that others may read. **any thread**"""
    return [
        f"{file} holds secrets, and every user of this machine can read it (chmod o-r)"
        for file in dict.fromkeys([*([source] if _holds_one(source, config) else []), *_files(config)])
        if _readable_by_all(file)
    ]


def _holds_one(source: Path, config: Config) -> bool:
    try:
        text = source.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(secret and secret in text for secret in secret_values(config))


def _files(section: BaseModel) -> Iterator[Path]:
    for key, value in section:
        if key in _SECRET_FILES and isinstance(value, Path):
            yield value
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, BaseModel):
                yield from _files(part)


def _readable_by_all(file: Path) -> bool:
    try:
        path = file.resolve(strict=True)
        return bool(path.stat().st_mode & stat.S_IROTH) and all(
            folder.stat().st_mode & stat.S_IXOTH for folder in path.parents
        )
    except OSError:
        return False
