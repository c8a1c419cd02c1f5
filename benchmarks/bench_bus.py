"""How much of the wire's time a bus of 60 meters uses that are always due; and what ten silent ones cost.

    python benchmarks/bench_bus.py [SECONDS]

The meters are simulated by a process of its own on a pty at true byte times. The limit of a round is the sum of
(33 bits idle + request + answer) × the time of a bit, and the meters' own delay of 20 ms. Utilisation is that
limit against what the rounds took, the median of three samples of SECONDS (default 40) at each speed (goal 97 %).
Then ten addresses more are asked at which nobody is: they may lengthen a round by their answer windows, no more.
"""
from __future__ import annotations

import logging
import resource
import statistics
import sys
import time
from collections.abc import Callable

from bench_read import running_bus, simulator

from mbusgw.mbus.session import Session
from mbusgw.model.errors import NoAnswer
from mbusgw.simulator.segment import ANSWER_DELAY_S
from mbusgw.wired.bus import Bus

METERS, SILENT, SAMPLES = 60, 10, 3
GOAL, SILENT_GOAL = 0.97, 1.3
REQUEST_BYTES, BITS, IDLE_BITS = 5, 11, 33


def main() -> int:
    """Prints the table; 0 if every goal is met."""
    logging.getLogger("mbusgw").setLevel(logging.WARNING)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 40.0
    met = True
    print(f"{'baud':>6} {'what':<44} {'figure':>9} {'goal':>7}")
    for baudrate in (2400, 9600):
        with simulator(baudrate, METERS) as port, running_bus(port, baudrate) as bus:
            limit_s = sum(_limit_s(_read(bus, address), baudrate) for address in range(1, METERS + 1))
            rounds = max(1, int(seconds / limit_s))
            before_s = _cpu_s()
            began = time.perf_counter()
            samples = [_timed(lambda: _rounds(bus, rounds)) / rounds for _ in range(SAMPLES)]
            cpu = (_cpu_s() - before_s) / (time.perf_counter() - began)
            round_s = statistics.median(samples)
            silent_s = statistics.median(_timed(lambda: _silent(bus)) for _ in range(SAMPLES))
        window_s = SILENT * ((IDLE_BITS + REQUEST_BYTES * BITS + 330 + BITS) / baudrate + 0.05)
        used, cost = limit_s / round_s, silent_s / window_s
        met = met and used >= GOAL and cost <= SILENT_GOAL
        print(f"{baudrate:>6} {'utilisation, 60 meters always due':<44} {100 * used:>8.1f}% {100 * GOAL:>6.0f}%")
        print(f"{baudrate:>6} {'ten silent meters, of their answer windows':<44} {cost:>9.2f} {SILENT_GOAL:>7}")
        print(f"{baudrate:>6} {'CPU of this process':<44} {100 * cpu:>8.1f}%")
    print("goals met" if met else "GOALS MISSED")
    return 0 if met else 1


def _limit_s(answer_bytes: int, baudrate: int) -> float:
    return (IDLE_BITS + (REQUEST_BYTES + answer_bytes) * BITS) / baudrate + ANSWER_DELAY_S


def _read(bus: Bus, address: int) -> int:
    def job(session: Session) -> int:
        return len(session.read_user_data(address, repeats=1).frames[0])

    return bus.submit(job, deadline_mono=bus.clock.mono() + 60).result(60)


def _rounds(bus: Bus, rounds: int) -> None:
    """All are due at once: the line of jobs is never empty."""
    deadline_mono = bus.clock.mono() + 3600
    for _ in range(rounds):
        jobs = [
            bus.submit(lambda session, n=address: session.read_user_data(n, repeats=1), deadline_mono=deadline_mono)
            for address in range(1, METERS + 1)
        ]
        for job in jobs:
            job.result(600)


def _silent(bus: Bus) -> None:
    for address in range(200, 200 + SILENT):
        try:
            _read(bus, address)
        except NoAnswer:
            continue
        raise AssertionError("nobody is there")


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
