"""A scan for people: how far it is, and what it has found."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mbusgw.model.wording import counted

_HEAD = ("ID", "MANUFACTURER", "MEDIUM", "VERSION", "PRODUCT", "PRIMARY", "SECONDARY", "BAUD", "CONFIGURED")


def progress_line(progress: Mapping[str, Any]) -> str:
    """One line: how far, how many, what now, how long still, or why it waits."""
    if progress.get("waits"):
        return f"{progress['percent']:5.1f} %  {progress['found']} found  waits: {progress['waits']}"
    left = progress["remaining_s"]
    rest = "" if left is None else f", about {duration(left)} left"
    return f"{progress['percent']:5.1f} %  {progress['found']} found  {progress['doing']}{rest}"


def result_text(document: Mapping[str, Any]) -> str:
    """A table of the meters, with what is odd about each below it, and a sentence."""
    meters = sorted(document["meters"], key=lambda meter: (meter["primary"] is None, meter["primary"] or 0))
    lines = _table([_HEAD, *map(_row, meters)]) if meters else []
    below = [f"{meter['device_id']}: {meter['note']}" for meter in meters if meter["note"]]
    count = sum(meter["meter"] is not None for meter in meters)
    end = "" if document["complete"] else " until it was cancelled"
    took = duration(document["elapsed_s"])
    sentence = (
        f"{counted(count, 'meter')} found on bus {document['bus']} in {took} "
        f"({counted(document['probes'], 'probe')}){end}"
    )
    adopted = document.get("adopted")
    more = [] if adopted is None else [f"written into the configuration: {', '.join(adopted) or 'nothing new'}"]
    more += [f"{name} was not: {why}" for name, why in document.get("refused", {}).items()]
    return "\n".join([*lines, *([""] if lines else []), *below, *([""] if below else []), sentence, *more])


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _row(meter: Mapping[str, Any]) -> tuple[str, ...]:
    who = meter["meter"] or {}
    maker = " ".join(part for part in (who.get("manufacturer"), who.get("company")) if part)
    version = who.get("version")
    return (
        meter["device_id"],
        maker or "?",
        who.get("medium_name", "?"),
        "?" if version is None else str(version),
        meter["product"] or "",
        "" if meter["primary"] is None else str(meter["primary"]),
        meter["secondary"] or "",
        str(meter["baudrate"]),
        meter["configured"] or "",
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    kept = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
    widths = {n: max(len(row[n]) for row in rows) for n in kept}
    return ["  ".join(row[n].ljust(widths[n]) for n in kept).rstrip() for row in rows]
