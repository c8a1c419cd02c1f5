"""Finding meters: a whole primary scan at 2400 baud, and how many probes a secondary search needs.

    python benchmarks/bench_scan.py

The primary scan runs over a pty against simulated meters in a process of their own, at true byte times. Its limit:
a silent address costs the request, the answer window (in which the line is idle already) and the first byte of an
answer that begins at its end; one with a meter an
answer and the idle time instead, and a selection that confirms it. On top comes the time that is given to a USB
adapter to pass a byte on, once for each silent address. Where no driver tells that, 20 ms are taken for it until a
meter has answered: that is counted on the clock of a simulated wire, with the meters at the lowest addresses, at
random ones, and without any. The secondary searches run on a simulated wire with a clock
of its own. Their least number of probes: ten for each group of numbers that begin alike, one a find to confirm it,
one to hear that it was alone.
"""
from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from mbusgw.config.models import BusConfig
from mbusgw.mbus.masks import ALL_MEDIA
from mbusgw.mbus.session import Session
from mbusgw.mbus.sighting import Sighting
from mbusgw.mbus.sweep import PRIMARY_ADDRESSES, PrimarySweep, SecondarySweep
from mbusgw.model.meter import MeterIdentity
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.cable import ANSWER_DELAY_S, Cable
from mbusgw.simulator.catalogue import KINDS, build_meter, build_meters
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.transports.latency import UNKNOWN_SLACK_S
from mbusgw.wired.bus import Bus
from mbusgw.wired.finds import Finds
from mbusgw.wired.scan import Scanner
from mbusgw.wired.survey import PRIMARY, ScanRequest

BAUDRATE = 2400
METERS = 5
PRIMARY_GOAL_S = 60.0
PRIMARY_GOAL = 1.10
PROBES_GOAL = 1.25
ANSWER_BYTES = 90


def main() -> int:
    """Prints the table; 0 if every goal is met."""
    logging.getLogger("mbusgw").setLevel(logging.WARNING)
    met = _primary()
    for addresses in (range(1, METERS + 1), sorted(Random(7).sample(range(1, 251), METERS)), ()):
        met = _primary_unknown(addresses) and met
    for title, ids in (
        ("20 meters, numbers at random", [f"{Random(7).getrandbits(26) + n * 1357911:08d}"[-8:] for n in range(20)]),
        ("20 meters, numbers in a row", [f"1234{n:04d}" for n in range(20)]),
        ("20 meters, two with one number", [*(f"{n * 4711313 + 10_000_000:08d}" for n in range(19)), "10000000"]),
    ):
        met = _secondary(title, ids) and met
    print("goals met" if met else "GOALS MISSED")
    return 0 if met else 1


def _primary() -> bool:
    limit_s = _primary_limit_s()
    clock = SystemClock()
    with _simulator() as port:
        bus = Bus(BusConfig(name="bench", port=port, baudrate=BAUDRATE), clock=clock)
        scanner = Scanner(bus, Finds(clock), clock=clock)
        bus.start()
        scanner.start()
        begun = time.perf_counter()
        result = scanner.submit(ScanRequest(kinds=(PRIMARY,)), lambda progress: None).result(300)
        took_s = time.perf_counter() - begun
        for worker in (scanner, bus):
            worker.stop()
            worker.join(5)
    assert len(result.meters) == METERS, result.meters
    print(f"primary scan, {len(PRIMARY_ADDRESSES)} addresses, {METERS} meters, {BAUDRATE} baud: "
          f"{took_s:.1f} s, limit {limit_s:.1f} s, ratio {took_s / limit_s:.3f} (goal {PRIMARY_GOAL}, "
          f"{PRIMARY_GOAL_S:.0f} s)")  # fmt: skip
    return took_s <= PRIMARY_GOAL_S and took_s / limit_s <= PRIMARY_GOAL


def _primary_unknown(addresses: Sequence[int]) -> bool:
    """Through a port whose driver does not say how late it passes bytes on."""
    kinds = list(KINDS)
    meters = [build_meter(kinds[n % len(kinds)], a, clock=SystemClock(), number=n) for n, a in enumerate(addresses)]
    cable = Cable(meters, baudrate=BAUDRATE)
    line = VirtualLine(cable, baudrate=BAUDRATE, slack_s=UNKNOWN_SLACK_S, slack_guessed=True)
    session, sweep = Session(line, baudrate=BAUDRATE, mono=line.mono), PrimarySweep()
    began_s, found = line.now_mono, 0
    while not sweep.done:
        found += len(sweep.step(session))
    assert found == len(meters), found
    took_s = line.now_mono - began_s
    where = f"meters at {', '.join(map(str, addresses))}" if addresses else "no meter"
    print(f"the same through a port of unknown latency, {where}: {took_s:.1f} s on the wire")
    return took_s <= PRIMARY_GOAL_S


def _primary_limit_s() -> float:
    def wire_s(size: int) -> float:
        return size * 11 / BAUDRATE

    idle_s = 33 / BAUDRATE
    silent_s = wire_s(5) + (330 + 11) / BAUDRATE + 0.05
    answered_s = wire_s(5 + ANSWER_BYTES) + ANSWER_DELAY_S + idle_s
    confirmed_s = wire_s(17 + 1 + 5 + 1) + 2 * (ANSWER_DELAY_S + idle_s)
    return (len(PRIMARY_ADDRESSES) - METERS) * silent_s + METERS * (answered_s + confirmed_s)


def _secondary(title: str, ids: Sequence[str]) -> bool:
    meters = build_meters(len(ids), clock=SystemClock())
    for number, (meter, digits) in enumerate(zip(meters, ids)):
        meter.identity = MeterIdentity(digits, "KAM", 8, 4 + number % 3)
    line = VirtualLine(Cable(meters, baudrate=BAUDRATE), baudrate=BAUDRATE, slack_s=0.004)
    session = Session(line, baudrate=BAUDRATE, mono=line.mono)
    sweep, began_s = SecondarySweep.of(), line.now_mono
    sightings: list[Sighting] = []
    while not sweep.done:
        sightings += sweep.step(session)
    assert {one.identity for one in sightings} == {meter.identity for meter in meters}, "all, and nothing else"
    least, probes = _least_probes(ids), sweep.search.probes
    print(f"secondary search, {title}: {probes} probes, at least {least}, ratio {probes / least:.3f} "
          f"(goal {PROBES_GOAL}); {line.now_mono - began_s:.0f} s on the wire")  # fmt: skip
    return probes / least <= PROBES_GOAL


def _least_probes(ids: Sequence[str]) -> int:
    crowded = {
        number[:length] for length in range(1, 8) for number in ids
        if sum(other.startswith(number[:length]) for other in ids) > 1
    }  # fmt: skip
    doubled = {number for number in ids if ids.count(number) > 1}
    return 10 + 10 * len(crowded) + len(ALL_MEDIA) * len(doubled) + 2 * len(ids)


@contextmanager
def _simulator() -> Iterator[str]:
    """Simulated meters in a process of their own; gives their port."""
    with tempfile.TemporaryDirectory() as folder:
        link = str(Path(folder) / "meters")
        code = "import sys; from mbusgw.cli.main import main; sys.exit(main(sys.argv[1:]))"
        own = ["simulate", "--pty", link, "--baud", str(BAUDRATE), "--meters", str(METERS)]
        with subprocess.Popen([sys.executable, "-c", code, *own], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                while process.stdout.readline().strip() != "Ctrl-C ends it.":
                    assert process.poll() is None, "the simulator did not start"
                yield link
            finally:
                process.terminate()


if __name__ == "__main__":
    sys.exit(main())
