"""Simulated meters described one by one in a YAML file."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbusgw.config.lines import read_document
from mbusgw.model.errors import MbusgwError
from mbusgw.model.meter import manufacturer_code
from mbusgw.runtime.clock import Clock
from mbusgw.simulator.catalogue import ALL_KINDS, USUAL_TELEGRAMS, build_meter
from mbusgw.simulator.fault import parse_fault
from mbusgw.simulator.meter import SimulatedMeter

KEYS = (
    "kind", "address", "count", "id", "manufacturer", "version", "medium", "telegrams", "baudrate", "delay", "faults"
)  # fmt: skip
MOST = 10_000


def read_meters(file: Path, *, clock: Clock) -> list[SimulatedMeter]:
    """The meters of ``file``: a list ``meters`` of mappings with ``KEYS``, all but ``kind`` with a default.

    Addresses and numbers may occur twice: that is how collisions are made. Raises ``MbusgwError`` naming
    what is wrong where, and ``ConfigError`` for a file that is no YAML.
    """
    tree = read_document(file, option="--meters-file FILE").tree
    entries = tree.get("meters") if isinstance(tree, dict) else None
    if not isinstance(entries, list) or not entries:
        raise MbusgwError(f"{file}: expected `meters:` and a list of meters below it")
    meters: list[SimulatedMeter] = []
    for place, entry in enumerate(entries, start=1):
        try:
            meters += _meters(entry, clock, first_number=len(meters) + 1)
        except (ValueError, TypeError) as error:
            raise MbusgwError(f"{file}: meter {place}: {error}") from None
    return meters


def _meters(entry: object, clock: Clock, *, first_number: int) -> list[SimulatedMeter]:
    if not isinstance(entry, dict):
        raise ValueError("expected a mapping such as {kind: heat, address: 1}")
    if unknown := [key for key in entry if key not in KEYS]:
        raise ValueError(f"no such key: {unknown[0]!r}; there are {', '.join(KEYS)}")
    count = _whole(entry, "count", 1, 1, MOST)
    address = _whole(entry, "address", 0, 0, 250)
    if address and address + count - 1 > 250:
        raise ValueError("its addresses go beyond 250")
    return [_meter(entry, clock, address + n if address else 0, first_number + n, n) for n in range(count)]


def _meter(entry: Mapping[str, Any], clock: Clock, address: int, number: int, nth: int) -> SimulatedMeter:
    kind = entry.get("kind", "heat")
    if kind not in ALL_KINDS:
        raise ValueError(f"no such kind: {kind!r}; there are {', '.join(ALL_KINDS)}")
    telegrams = _whole(entry, "telegrams", USUAL_TELEGRAMS.get(kind, 1), 1, 16)
    baudrate = _whole(entry, "baudrate", 0, 0, 38400) or None
    meter = build_meter(kind, address, clock=clock, number=number, telegrams=telegrams, baudrate=baudrate)
    meter.identity = replace(meter.identity, **_identity(entry, nth))
    if "delay" in entry:
        meter.answer_delay_s = float(entry["delay"])
    faults = entry.get("faults", [])
    meter.faults = tuple(parse_fault(str(fault)) for fault in (faults if isinstance(faults, list) else [faults]))
    return meter


def _identity(entry: Mapping[str, Any], nth: int) -> dict[str, Any]:
    """What the entry says of who the meter is; of several meters each has the next number."""
    given: dict[str, Any] = {}
    if "id" in entry:
        text = str(entry["id"]).upper()
        if len(text) != 8 or any(digit not in "0123456789ABCDEF" for digit in text):
            raise ValueError(f"id: expected 8 hex digits in quotes, not {text!r}")
        given["id"] = f"{int(text) + nth:08d}" if text.isdecimal() else text
    if "manufacturer" in entry:
        manufacturer_code(str(entry["manufacturer"]))
        given["manufacturer"] = str(entry["manufacturer"]).upper()
    for key in ("version", "medium"):
        if key in entry:
            given[key] = _whole(entry, key, 0, 0, 255)
    return given


def _whole(entry: Mapping[str, Any], key: str, default: int, low: int, high: int) -> int:
    text = str(entry.get(key, default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"{key}: expected a whole number from {low} to {high}, not {text!r}")
    return int(text)
