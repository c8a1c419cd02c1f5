"""The mappings of Lobaro's domain model (``domainMappings.json``): checked; the file is read again when it changes."""
from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from mbusgw.model.errors import ConfigError, Problem
from mbusgw.runtime import exactjson

log = logging.getLogger(__name__)

#: Members of a mapping that are no category.
_NOT_CATEGORIES = ("comment", "filter")

#: How long and how deep a sane mapping file is.
_LARGEST_BYTES = 1 << 20


#: What a mapping may tell of, as far as it is known: only ``heat`` is documented, the others are the other media.
CATEGORIES = (
    "heat", "cooling", "heatCooling", "water", "coldWater", "warmWater", "hotWater", "gas", "electricity", "steam",
    "oil", "hca", "heatCostAllocator", "pressure", "smokeDetector", "room", "temperature", "humidity", "co2",
)  # fmt: skip
#: What a filter may name, and how the values look. The spelling of the third is the service's.
_FILTERS = {
    "formatSignature": (re.compile(r"[0-9A-Fa-f]{1,5}"), "is no format signature, such as \"7869\""),
    "manafacture": (re.compile(r"[A-Za-z]{3}"), "is no manufacturer of three letters"),
    "type": (re.compile(r"[0-9A-Fa-f]{2}"), "is no medium of two hex digits, such as \"04\""),
    "version": (re.compile(r"[0-9]{1,3}"), "is no version number"),
}


class MappingSource(Protocol):
    """Where the mapping in force comes from. **any thread**"""

    def body(self) -> bytes | None:
        """It, as JSON text; None for the service's own. Raises ``ConfigError``."""


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
        for unknown in unknown_categories(body, str(self._path)):  # the service may know more than we do
            log.warning("%s", unknown)
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
    """Everything that is wrong with a mapping; an empty list is a good one (but see ``unknown_categories``)."""
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
    return problems + _doubles(mappings, source)


def unknown_categories(body: bytes, source: str) -> list[Problem]:
    """The categories of a good mapping that nobody has heard of: most likely slips of the pen."""
    problems = []
    for number, mapping in enumerate(exactjson.loads(body)["mappings"]):
        for name in mapping:
            if name not in _NOT_CATEGORIES and name not in CATEGORIES:
                near = get_close_matches(name, CATEGORIES, n=1)
                suggestion = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(CATEGORIES)}"
                key = f"mappings[{number}].{name[:40]}"
                problems.append(Problem(source, None, key, "is an unknown category", suggestion))
    return problems


def _faults(mapping: object) -> list[tuple[str, str]]:
    """What is wrong with one mapping: (where, what)."""
    if not isinstance(mapping, dict):
        return [("", "is no object")]
    faults = []
    wanted = mapping.get("filter")
    if isinstance(wanted, dict):
        faults += _filter_faults(wanted)
    else:
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


def _filter_faults(wanted: dict[str, object]) -> list[tuple[str, str]]:
    faults = []
    for name, value in wanted.items():
        form, message = _FILTERS.get(name, (None, ""))
        if form is None:
            spelling = "manafacture" if name.lower().startswith("manu") else ""
            near = [spelling] if spelling else get_close_matches(name, list(_FILTERS), n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(_FILTERS)}"
            faults.append((f".filter.{name[:40]}", f"is nothing to filter by ({hint})"))
        elif isinstance(value, bool) or not isinstance(value, (str, int)) or not form.fullmatch(str(value)):
            faults.append((f".filter.{name}", message))
    return faults


def _doubles(mappings: list[object], source: str) -> list[Problem]:
    """Mappings that filter alike: only one of them could ever be used."""
    first: dict[frozenset[tuple[str, str]], int] = {}
    problems = []
    for number, mapping in enumerate(mappings):
        wanted = mapping.get("filter") if isinstance(mapping, dict) else None
        if not isinstance(wanted, dict):
            continue
        mark = frozenset((name, str(value).upper()) for name, value in wanted.items())
        if mark in first:
            message = f"is the same as that of mappings[{first[mark]}]"
            problems.append(Problem(source, None, f"mappings[{number}].filter", message))
        first.setdefault(mark, number)
    return problems
