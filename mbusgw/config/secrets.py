"""Secrets: where they are, and how one comes from a file of its own."""
from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, SecretStr

from mbusgw.config.models import Config


def secret_values(config: Config) -> frozenset[str]:
    """Every secret of the configuration, for the filter that keeps them out of the logs. **any thread**"""
    return frozenset(_secrets_in(config))


def read_secret(file: Path) -> SecretStr:
    """The first line of ``file``. Raises ``ValueError`` naming the file, never what is in it."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no UTF-8 text") from None
    if not lines or not lines[0].strip():
        raise ValueError(f"the first line of {file} is empty")
    return SecretStr(lines[0].strip())


def _secrets_in(value: object) -> list[str]:
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, BaseModel):
        return [secret for _, part in value for secret in _secrets_in(part)]
    if isinstance(value, dict):
        return [secret for part in value.values() for secret in _secrets_in(part)]
    if isinstance(value, (list, tuple)):
        return [secret for part in value for secret in _secrets_in(part)]
    return []
