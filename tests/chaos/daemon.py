"""The real daemon, two simulated buses with faults, a real broker; afterwards the log of the wire is the truth.

    python -m tests.chaos.daemon MINUTES [SEED]

reads a bus over TCP whose answers are spoiled at random, and one on a pty where some meters are ill and some healthy;
connections break off and the port is unplugged meanwhile. Tells what was published and no meter had said, what was
said by a healthy meter and not kept, and what the standard forbids.
"""
from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from random import Random
from typing import Any

from mbusgw.mbus.frames import LongFrame, parse
from mbusgw.mbus.wire import IDLE_BITS
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import FrameDamaged
from mbusgw.runtime import exactjson
from tests.chaos.referee import Referee
from tests.daemon import Daemon
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import PATIENCE_S, wait_until

BAUDRATE = 38400
METERS = 6
#: On the pty: these have faults of their own now and then, the first three none.
ILL = ("4:wrong_id:p=0.2", "4:late:0.1:p=0.2", "5:checksum:p=0.2", "5:twice:p=0.2", "6:noise:p=0.3", "6:reboots:p=0.1")
HEALTHY = (1, 2, 3)
#: A machine that is busy makes an answer late; that shall not look like a silent meter.
LATENCY_MS = 2000
#: A readout this shortly before or after the line was taken away may be lost with it.
NEAR_S = 5.0

#: Field -> value, comparable: numbers by what they are worth.
Values = dict[str, Decimal | str]


@dataclass
class Verdict:
    """What the log of the wire has against what the daemon made of it."""

    readings: int = 0
    untrue: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def guilty(self) -> bool:
        return bool(self.untrue or self.lost or self.violations or not self.readings)


class Simulated:
    """``mbusgw simulate`` as a child process with a log of its wire; takes orders."""

    def __init__(self, name: str, log: Path, *options: str) -> None:
        self.name = name
        self.log = log
        command = [sys.executable, "-m", "mbusgw", "simulate", f"--baud={BAUDRATE}", f"--meters={METERS}"]
        self._process = subprocess.Popen(
            [*command, "--log", str(log), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()

    def order(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def lines(self) -> list[dict[str, Any]]:
        """What its log has until now."""
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line, parse_float=Decimal) for line in whole.splitlines()]

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE_S)


class House:
    """Broker, subscriber, two buses and the daemon."""

    def __init__(self, daemon: Daemon, subscriber: Subscriber, buses: list[Simulated]) -> None:
        self.daemon = daemon
        self.subscriber = subscriber
        self.tcp, self.pty = self.buses = buses

    def readings(self) -> Iterator[tuple[str, int, Values]]:
        """Bus, address and values of every reading that the daemon has kept."""
        connection = sqlite3.connect(self.daemon.database)
        try:
            rows = connection.execute("SELECT device_id, fields_json FROM readings ORDER BY id").fetchall()
        finally:
            connection.close()
        for device, fields in rows:
            bus, _, address = device.partition("_")
            yield bus, int(address), {name: worth(text) for name, (text, _) in exactjson.loads(fields).items()}

    def goes_on(self) -> None:
        """Waits until every healthy meter of the pty, and some meter over TCP, was read again."""
        before = len(list(self.readings()))

        def read() -> bool:
            newer = list(self.readings())[before:]
            return any(bus == "tcp" for bus, _, _ in newer) and {
                address for bus, address, _ in newer if bus == "pty"
            } >= set(HEALTHY)

        wait_until(read, what=lambda: self.daemon.log[-2000:])

    def trouble(self) -> None:
        """Breaks the connection off, and unplugs the port for a moment."""
        self.tcp.order("drop")
        self.pty.order("noise")
        self.goes_on()
        self.pty.order("unplug")
        wait_until(lambda: not self.daemon.get("/state")[1]["buses"]["pty"]["connected"])
        self.pty.order("plug")
        self.goes_on()

    def judge(self) -> Verdict:
        """Holds everything published and kept against the logs of the wires."""
        verdict = Verdict()
        said = {bus.name: _said(bus.lines()) for bus in self.buses}
        kept: dict[tuple[str, int], list[Values]] = {}
        for bus, address, values in self.readings():
            verdict.readings += 1
            kept.setdefault((bus, address), []).append(values)
            if not any(values.items() <= one.items() for _, one in said[bus].get(address, [])):
                verdict.untrue.append(f"{bus}_{address}: {values}")
        for topic, payload, _ in list(self.subscriber.messages):
            bus, address_, name = _place(topic)
            heard = [one[name] for _, one in said.get(bus, {}).get(address_, []) if name in one]
            if heard and payload and worth(payload) not in heard:
                verdict.untrue.append(f"{topic}: {payload}")
        for one in self.buses:
            verdict.violations += violations_in(one.lines())
        verdict.lost = lost_readings(self.pty.lines(), said["pty"], kept)
        return verdict


@contextmanager
def house(folder: Path, mosquitto: Mosquitto, *, seed: int, rate: float = 0.1) -> Iterator[House]:
    """All of it, running."""
    with ExitStack() as stack:
        buses = [
            Simulated("tcp", folder / "tcp.jsonl", "--tcp=127.0.0.1:0", f"--chaos={seed}:{rate}"),
            Simulated("pty", folder / "pty.jsonl", f"--pty={folder / 'bus'}", *(f"--fault={one}" for one in ILL)),
        ]
        for bus in buses:
            stack.callback(bus.close)
        subscriber = stack.enter_context(subscribed(mosquitto.port, "mbus/#"))
        daemon = Daemon(folder, _configuration(buses), broker=mosquitto.url)
        daemon.start()
        stack.callback(daemon.stop)
        yield House(daemon, subscriber, buses)


def _configuration(buses: list[Simulated]) -> str:
    options = f"baudrate: {BAUDRATE}, latency_ms: {LATENCY_MS}, retry_delay: 0.2"
    text = "buses:\n" + "".join(
        f"  - {{name: {bus.name}, port: '{bus.port}', {options}}}\n"
        for bus in buses
    )
    # An answer to an address says that it is from there; who it is from, only the number tells.
    return text + "devices:\n" + "".join(
        f"  - {{id: {bus.name}_{address}, bus: {bus.name}, address: {address}, interval: 1,"
        f" meter: {{id: '{number}'}}}}\n"
        for bus in buses
        for address, number in _numbers()
    )


def _numbers() -> Iterator[tuple[int, str]]:
    first_digits = "61374"
    for address in range(1, METERS + 1):
        yield address, f"{first_digits[(address - 1) % 5]}{address:07d}"


def worth(text: object) -> Decimal | str:
    """Numbers by their value, anything else as it is written."""
    try:
        return Decimal(str(text)).normalize()
    except InvalidOperation:
        return str(text)


def _place(topic: str) -> tuple[str, int, str]:
    _, device, name = (topic.split("/") + ["", ""])[:3]
    bus, _, address = device.partition("_")
    return bus, int(address) if address.isdigit() else 0, name


def _said(lines: list[dict[str, Any]]) -> dict[int, list[tuple[float, Values]]]:
    said: dict[int, list[tuple[float, Values]]] = {}
    for line in lines:
        if line["what"] == "values":
            values = {name: worth(value) for name, value in line["values"].items()}
            said.setdefault(line["address"], []).append((float(line["mono"]), values))
    return said


def lost_readings(
    lines: list[dict[str, Any]], said: dict[int, list[tuple[float, Values]]], kept: dict[tuple[str, int], list[Values]]
) -> list[str]:
    """What a healthy meter has said and nobody has, apart from the times when the line was taken away."""
    taken = [float(line["mono"]) for line in lines if line["what"] == "event"]
    end = float(lines[-1]["mono"])
    return [
        f"pty_{address} at {mono:.3f}"
        for address in HEALTHY
        for mono, values in said.get(address, [])
        if values not in kept.get(("pty", address), [])
        and end - mono > NEAR_S
        and all(abs(mono - moment) > NEAR_S for moment in taken)
    ]


def violations_in(lines: list[dict[str, Any]]) -> list[str]:
    """What the standard forbids; of bytes that are no whole answer a busy master may not know yet."""
    referee = Referee({address: SecondaryAddress(number) for address, number in _numbers()}, unseen_s=float("inf"))
    found: list[str] = []
    answer: dict[str, Any] = {}
    for line in lines:
        mono, data = float(line["mono"]), bytes.fromhex(line.get("hex", ""))
        if line["what"] == "request":
            gap_s = mono - float(answer["until"]) if answer and _is_whole(answer) else float("inf")
            if gap_s < IDLE_BITS / BAUDRATE - 1e-5:
                found.append(f"only {gap_s * BAUDRATE:.1f} bit times of silence before {line['hex']}")
            referee.heard(mono, data, BAUDRATE)
            answer = {}
        elif line["what"] == "answer":
            answer = line if not answer else {}
            referee.sent(mono, data[:1])
            referee.sent(float(line["until"]), data[1:])
    return found + referee.violations


def _is_whole(answer: dict[str, Any]) -> bool:
    try:
        return isinstance(parse(bytes.fromhex(answer["hex"])), LongFrame)
    except FrameDamaged:
        return False


def main(arguments: list[str]) -> int:
    """Runs for so many minutes and tells."""
    minutes, seed = float(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    rng = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mosquitto = Mosquitto(folder)
        mosquitto.start()
        try:
            with house(folder, mosquitto, seed=seed) as living:
                until_mono = time.monotonic() + 60 * minutes
                while time.monotonic() < until_mono:
                    time.sleep(rng.uniform(5, 30))
                    living.trouble()
                verdict = living.judge()
        finally:
            mosquitto.stop()
    print(f"{verdict.readings} readings")
    for title in ("untrue", "lost", "violations"):
        found = getattr(verdict, title)
        print(f"{title}: {len(found)}")
        for line in found[:5]:
            print("  " + line)
    return int(verdict.guilty)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
