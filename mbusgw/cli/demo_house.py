"""What the demo runs: a broker, simulated meters, and the real gateway between them. Starts and ends all of it."""
from __future__ import annotations

import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from mbusgw.cli.demo_process import Child, accepts, environment_without, find_program, free_port
from mbusgw.cli.demo_radio import RadioGateway, Transmitter, build_transmitters
from mbusgw.config import environment
from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.clock import Clock
from mbusgw.simulator.catalogue import KINDS, build_meters
from mbusgw.simulator.gateway import SimulatedGateway
from mbusgw.simulator.line import PtyLine
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
BAUDRATE = 2400
SCAN_INTERVAL_S = 5
RADIO_GATEWAY = "demo_gateway"
BROKER_START_S = 10.0
LOOK_S = 0.05
#: The gateway promises to end within 5 s.
DAEMON_STOP_S = 10.0
BROKER_STOP_S = 5.0
JOIN_S = 6.0  # a post on its way may take 5 s

MOSQUITTO_HINT = "install it with: sudo apt install mosquitto"
NAMES = {
    "heat": "Heat, boiler room",
    "water": "Water, ground floor",
    "electricity": "Electricity, main",
    "gas": "Gas, main",
    "heat_cost_allocator": "Radiator, living room",
}
#: Variables by which a systemd that started us would be told about the gateway's state.
_SERVICE_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class House:
    """A temporary folder, a broker, a wired segment, radio meters, the gateway: ``with House(...)``. The main thread.

    ``pause`` waits that many seconds and says whether to stop. Whatever was started is ended again,
    also when the start fails half way; then ``MbusgwError`` or ``KeyboardInterrupt`` comes out. Should we
    be killed (SIGKILL), the processes end as well; only the folder is left then.
    """

    def __init__(self, *, listen: str, clock: Clock, pause: Callable[[float], bool]) -> None:
        self.listen = listen
        self.host = LOOPBACK if listen == EVERYWHERE else listen
        self.mqtt_port = 0
        self.http_port = 0
        self.folder = Path()
        self.wired: list[SimulatedMeter] = build_meters(len(KINDS), clock=clock)
        self.radio: list[Transmitter] = build_transmitters(clock=clock)
        self.gateway: RadioGateway | None = None
        self._bearer = secrets.token_hex(16)
        self._clock = clock
        self._pause = pause
        self._children: list[Child] = []
        self._stack = ExitStack()

    @property
    def mqtt_url(self) -> str:
        """The broker, from this machine."""
        return f"mqtt://{self.host}:{self.mqtt_port}"

    @property
    def http_url(self) -> str:
        """The gateway's HTTP server, from this machine."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def config_file(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "mbusgw.yaml"

    def __enter__(self) -> House:
        with self._stack:
            self._open()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def check(self) -> None:
        """Raises ``MbusgwError`` when a process has ended that should run."""
        for child in self._children:
            child.check()

    # -------------------------------------------------- the start, in order
    def _open(self) -> None:
        mosquitto = find_program("mosquitto", hint=MOSQUITTO_HINT)
        self.mqtt_port, self.http_port = free_port(self.listen), free_port(self.listen)
        self.folder = Path(tempfile.mkdtemp(prefix="mbusgw-demo-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._start_broker(mosquitto)
        self._start_segment()
        self._start_daemon()
        self._start_radio()

    def _start_broker(self, mosquitto: str) -> None:
        config = self.folder / "mosquitto.conf"
        config.write_text(broker_config(self.listen, self.mqtt_port), encoding="utf-8")
        broker = Child("mosquitto", [mosquitto, "-c", str(config)], self.folder / "mosquitto.txt")
        self._run(broker, BROKER_STOP_S)
        deadline_mono = self._clock.mono() + BROKER_START_S
        while not accepts(self.host, self.mqtt_port):
            broker.check()
            if self._clock.mono() > deadline_mono:
                raise MbusgwError("mosquitto does not listen", hint=broker.last_words())
            if self._pause(LOOK_S):
                raise KeyboardInterrupt

    def _start_segment(self) -> None:
        segment = Segment(PtyLine(self.folder / "ttyMBUS"), self.wired, clock=self._clock, baudrate=BAUDRATE)
        try:
            segment.start()
        except OSError as error:
            raise MbusgwError(f"no pseudo terminal can be made: {error.strerror or error}") from error
        self._stack.callback(segment.join, JOIN_S)
        self._stack.callback(segment.stop)

    def _start_daemon(self) -> None:
        self.config_file.write_text(self._daemon_config(), encoding="utf-8")
        self.config_file.chmod(0o600)  # there are keys in it
        command = [sys.executable, "-m", "mbusgw", "run", "-c", str(self.config_file)]
        daemon = Child(
            "the gateway",
            [*command, "--state-dir", str(self.folder / "state")],
            self.folder / "mbusgw.txt",
            environ=environment_without((*environment.PLAIN, *environment.SPECIAL, *_SERVICE_VARIABLES)),
        )
        self._run(daemon, DAEMON_STOP_S)

    def _start_radio(self) -> None:
        sender = SimulatedGateway(self.http_url, RADIO_GATEWAY, self._bearer)
        self.gateway = RadioGateway(sender, self.radio, clock=self._clock)
        self.gateway.start()
        self._stack.callback(self.gateway.join, JOIN_S)
        self._stack.callback(self.gateway.stop)

    def _run(self, child: Child, stop_s: float) -> None:
        child.start()
        self._stack.callback(child.stop, stop_s)
        self._children.append(child)

    # -------------------------------------------------- configurations
    def _daemon_config(self) -> str:
        lines = [
            "# What the gateway of this demo was told. Your own needs no more than `buses` and `devices`.",
            "gateway: {id: demo}",
            f"mqtt: {{url: {_quoted(self.mqtt_url)}}}",
            f"http: {{listen: {_quoted(f'{self.listen}:{self.http_port}')}}}",
            "parser: {backend: local}",
            f"ingest: {{keys: {{{RADIO_GATEWAY}: {_quoted(self._bearer)}}}}}",
            "keys:",
        ]
        for meter in self.radio:
            who = f"meter_id: {_quoted(meter.identity.id)}, manufacturer: {meter.identity.manufacturer}"
            lines.append(f"  - {{{who}, key: {_quoted(meter.key.hex().upper())}}}")
        port = _quoted(str(self.folder / "ttyMBUS"))
        speed = f"baudrate: {BAUDRATE}, scan_interval: {SCAN_INTERVAL_S}"
        lines += ["buses:", f"  - {{name: demo, port: {port}, {speed}}}", "devices:"]
        for slave in self.wired:
            who = f"id: {slave.name}, name: {_quoted(NAMES[slave.name])}"
            lines.append(f"  - {{{who}, bus: demo, address: {slave.address}}}")
        return "\n".join(lines) + "\n"


def broker_config(listen: str, port: int) -> str:
    """mosquitto's configuration: no password, nothing on disk."""
    lines = [f"listener {port} {listen}", "allow_anonymous true", "persistence false", "log_dest stderr"]
    if listen == LOOPBACK:
        # Otherwise mosquitto, started as root, becomes another user, and no signal tells it of our death.
        lines.append("user root")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A YAML string in double quotes (JSON's are such)."""
    return json.dumps(text)
