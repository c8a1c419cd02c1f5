"""The mapping file of Lobaro's domain model (``domainMappings.json``): read, checked, read again when it changes."""
from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from mbusgw.model.errors import ConfigError, Problem
from mbusgw.runtime import exactjson

log = logging.getLogger(__name__)

#: Members of a mapping that are no category.
_NOT_CATEGORIES = ("comment", "filter")

#: How long and how deep a sane mapping file is.
_LARGEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A checked file and what it looked like on disk then. **immutable**"""

    stamp: tuple[int, int]
    body: bytes


class MappingFile:
    """A mapping file that is read again when it changed; a bad new file leaves the old one in force. **any thread**"""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded: _Loaded | None = None
        self._refused: tuple[int, int] | None = None

    def load(self) -> bytes:
        """Reads and checks the file, for the start. Raises ``ConfigError`` with everything that is wrong."""
        try:
            stamp, body = self._stamp(), self._path.read_bytes()
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise ConfigError([Problem(str(self._path), None, "", f"cannot be read: {reason}")]) from None
        problems = check_mapping(body, str(self._path))
        if problems:
            raise ConfigError(problems)
        self._loaded = _Loaded(stamp, body)
        return body

    def body(self) -> bytes:
        """The mapping in force, as JSON text. Raises ``ConfigError`` where there never was a good one."""
        loaded = self._loaded
        if loaded is None:
            return self.load()
        try:
            stamp = self._stamp()
        except OSError:
            return loaded.body  # an editor may be replacing it just now
        if stamp == loaded.stamp or stamp == self._refused:
            return loaded.body
        try:
            return self.load()
        except ConfigError as problem:
            self._refused = stamp
            log.warning("the new mapping file is not used, the old one stays in force: %s", problem)
            return loaded.body

    def _stamp(self) -> tuple[int, int]:
        state = self._path.stat()
        return state.st_mtime_ns, state.st_size


def check_mapping(body: bytes, source: str) -> list[Problem]:
    """Everything that is wrong with a mapping; an empty list is a good one."""
    if len(body) > _LARGEST_BYTES:
        return [Problem(source, None, "", f"larger than {_LARGEST_BYTES} bytes")]
    try:
        document = exactjson.loads(body)
    except (ValueError, RecursionError):
        return [Problem(source, None, "", "is not JSON")]
    mappings = document.get("mappings") if isinstance(document, dict) else None
    if not isinstance(mappings, list):
        return [Problem(source, None, "mappings", "is missing, or no list")]
    problems: list[Problem] = []
    for number, mapping in enumerate(mappings):
        problems += [Problem(source, None, f"mappings[{number}]{key}", text) for key, text in _faults(mapping)]
    return problems


def _faults(mapping: object) -> list[tuple[str, str]]:
    """What is wrong with one mapping: (where, what)."""
    if not isinstance(mapping, dict):
        return [("", "is no object")]
    faults = []
    if not isinstance(mapping.get("filter"), dict):
        faults.append((".filter", "is missing, or no object"))
    categories = {name: value for name, value in mapping.items() if name not in _NOT_CATEGORIES}
    if not categories:
        faults.append(("", "names no category (heat, water, ...)"))
    for name, members in categories.items():
        if not isinstance(members, dict):
            faults.append((f".{name}", "is no object"))
            continue
        for member, index in members.items():
            if isinstance(index, bool) or not isinstance(index, int) or index < 0:
                faults.append((f".{name}.{member}", "is no record number (0, 1, 2, ...)"))
    return faults
