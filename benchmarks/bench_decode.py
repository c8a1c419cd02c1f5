"""A wired frame to values: our decoder against pyMeterBus, median of several rounds in one run.

    python benchmarks/bench_decode.py [FRAMES.jsonl]

Frames of its own; a file of recorded frames (one JSON object with ``hex`` a line) if one is given.
"""
from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import meterbus
from meterbus.exceptions import MBusError

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import LongFrame, encode
from mbusgw.mbus.records import _template
from mbusgw.model.errors import DecodeError

ROUNDS = 15
GOAL = 5.0

_HEADER = "78563412 2d2c 08 04 2a 00 0000"
_HEAT = (
    "0c78 12345678 0406 e7910000 0414 2cdb0000 0422 d9030000 0459 b9270000 045d 08120000 0461 b1150000 "
    "042d 5b010000 142d c0010000 043b 1f020000 143b 74020000 8410 06 00000000 8420 06 00000000 "
    "046d 0f0f6511 4406 51820000 4414 b2c30000 542d 26020000 426c df1c"
)
_WATER = "0c13 17170000 046d 3b17bf1c 4c13 00020000 426c bf1c 02fd17 0000 023b 0000"
_ELECTRICITY = "8e10 03 533642020000 8e20 03 000000000000 0b2b 950200 02fd48 d108 03fd59 beffff 02fd17 0000"


def _frame(records: str) -> bytes:
    return encode(LongFrame(0x08, 1, 0x72, bytes.fromhex(_HEADER + records)))


OWN = (_frame(_HEAT), _frame(_WATER), _frame(_ELECTRICITY))


def _with_meterbus(raw: bytes) -> None:
    for record in meterbus.load(raw).records:
        record.interpreted  # noqa: B018 - a property that computes


def _without_memory(raw: bytes) -> None:
    _template.cache_clear()
    decode_frame(raw)


def _readable_by_both(frames: Sequence[bytes]) -> list[bytes]:
    """The frames that pyMeterBus reads, too: a refusal is no fair time."""
    readable = []
    for raw in frames:
        try:
            _with_meterbus(raw)
            decode_frame(raw)
        except (MBusError, DecodeError) as error:
            print(f"left out, not read by both: {raw[:12].hex()}… ({type(error).__name__})", file=sys.stderr)
        else:
            readable.append(raw)
    return readable


def median_us(decode: Callable[[bytes], object], frames: Sequence[bytes]) -> float:
    """Microseconds for a frame, mean over the frames, median over the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for raw in frames:
            decode(raw)
        rounds.append((time.perf_counter() - start) / len(frames) * 1e6)
    return statistics.median(rounds)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 0 if the goal is met."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    frames: list[bytes] = list(OWN)
    if arguments:
        frames = [bytes.fromhex(json.loads(line)["hex"]) for line in Path(arguments[0]).read_text().splitlines()]
    frames = _readable_by_both(frames)
    records = statistics.mean(len(decode_frame(raw).records) for raw in frames)
    ours, cold, theirs = (median_us(decode, frames) for decode in (decode_frame, _without_memory, _with_meterbus))
    print(f"{len(frames)} frames, {records:.1f} records each, median of {ROUNDS} rounds")
    print(f"{'decoder':<34}{'µs a frame':>12}{'ratio':>8}")
    rows = (("mbusgw", ours), ("mbusgw, never seen before", cold), ("pyMeterBus load().interpreted", theirs))
    for name, took in rows:
        print(f"{name:<34}{took:>12.1f}{theirs / took:>8.1f}")
    print(f"goal: at least {GOAL:.0f} times as fast: {'met' if theirs / ours >= GOAL else 'MISSED'}")
    return 0 if theirs / ours >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
