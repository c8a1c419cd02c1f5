"""What a master hears when several meters answer at once: every bit that one of them pulls low is low."""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

BITS_PER_BYTE = 11  # start, eight data, even parity, stop

#: When it begins, and its bytes, one after the other.
Sent = tuple[float, bytes]


def superpose(answers: Sequence[Sent], byte_s: float) -> list[Sent]:
    """``answers`` as they arrive: alone where they do not overlap, else byte by byte as a receiver makes them out.

    The receiver waits for a falling edge and looks at the middle of each of the eight bits
    after the start bit; parity is not checked, as most level converters do not.
    """
    spans = sorted((start_s, start_s + len(data) * byte_s) for start_s, data in answers)
    if all(one[1] <= next_one[0] for one, next_one in pairwise(spans)):
        return sorted(answers)
    bit_s = byte_s / BITS_PER_BYTE
    lows = _merged(sorted(low for answer in answers for low in _lows(answer, byte_s)), bit_s / 100)
    return list(_received(lows, byte_s))


def _lows(answer: Sent, byte_s: float) -> Iterator[tuple[float, float]]:
    """From when to when one sender pulls the line low."""
    start_s, data = answer
    bit_s = byte_s / BITS_PER_BYTE
    for number, byte in enumerate(data):
        bits = (0, *((byte >> n) & 1 for n in range(8)), byte.bit_count() & 1)
        for n, bit in enumerate(bits):
            if not bit:
                begin_s = start_s + number * byte_s + n * bit_s
                yield begin_s, begin_s + bit_s


def _merged(lows: Sequence[tuple[float, float]], tolerance_s: float) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin_s, end_s in lows:
        if merged and begin_s <= merged[-1][1] + tolerance_s:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((begin_s, end_s))
    return merged


def _received(lows: Sequence[tuple[float, float]], byte_s: float) -> Iterator[Sent]:
    bit_s = byte_s / BITS_PER_BYTE
    begins = [begin_s for begin_s, _ in lows]
    free_s = float("-inf")

    def is_high(at_s: float) -> bool:
        before = bisect_right(begins, at_s)  # a line held for long has tens of thousands of bits
        return not before or at_s >= lows[before - 1][1]

    for begin_s in begins:
        if begin_s < free_s:
            continue  # inside the byte that is being received
        byte = sum(is_high(begin_s + (n + 1.5) * bit_s) << n for n in range(8))
        free_s = begin_s + 10.5 * bit_s  # the middle of the stop bit
        yield begin_s, bytes((byte,))
