"""Takes orders for a simulated segment from stdin while it runs."""
from __future__ import annotations

import os
import select
import sys
import time

from mbusgw.simulator.journal import Journal
from mbusgw.simulator.orders import Quit, WrongOrder, obey
from mbusgw.simulator.segment import Segment

NAP_S = 1.0
READ_BYTES = 4096


def attend(segment: Segment, journal: Journal | None, duration_s: float | None) -> None:
    """Obeys what comes on stdin, for ``duration_s`` seconds or until ``quit`` or Ctrl-C. The main thread.

    A stdin that ends (``< /dev/null``, a service) ends nothing: only orders are no longer taken.
    """
    deadline_mono = float("inf") if duration_s is None else time.monotonic() + duration_s
    heard, listening = b"", sys.stdin is not None and not sys.stdin.closed
    while (left_s := deadline_mono - time.monotonic()) > 0:
        inputs = [sys.stdin.fileno()] if listening else []
        if not select.select(inputs, [], [], min(NAP_S, left_s))[0]:
            continue
        some = os.read(inputs[0], READ_BYTES)
        listening = bool(some)
        *lines, heard = (heard + some).split(b"\n")
        try:
            for line in lines:
                _order(segment, journal, line.decode(errors="replace"))
        except Quit:
            return


def _order(segment: Segment, journal: Journal | None, line: str) -> None:
    try:
        answer = obey(segment, line)
    except WrongOrder as error:
        print(f"? {error}", flush=True)
        return
    if journal is not None and line.strip():
        journal.event(line.strip())
    if answer:
        print(answer, flush=True)
