"""What can be asked of the running gateway: the table of the commands."""
from __future__ import annotations

from mbusgw.app.operations import ConfigOperations
from mbusgw.app.quarantine import QuarantineOperations
from mbusgw.app.settings import LiveSettings
from mbusgw.commands.desk import Desk
from mbusgw.mqtt.announcer import Announcer
from mbusgw.wired.doctor_operations import DoctorOperations
from mbusgw.wired.operations import WiredOperations
from mbusgw.wired.scan_operations import ScanOperations


def add_wired_commands(desk: Desk, wired: WiredOperations) -> None:
    """The commands of the wired lane; the command line without a daemon has the same. A new command is a row here."""
    desk.add("read", wired.read, "read a wired meter now: {device} or {bus, address}")
    desk.add("set_address", wired.set_address, "give a meter another primary address: {bus, address, new}")
    desk.add("application_reset", wired.application_reset, "reset a meter's application: {bus, address} or {device}")


def add_scan_commands(desk: Desk, scans: ScanOperations) -> None:
    """Searching for meters."""
    summary = "search a bus for meters: {bus, kind: both|primary|secondary, baud, mask, hex, resume}"
    desk.add("scan", scans.scan, summary)
    desk.add("scan_cancel", scans.cancel, "stop searching: {bus}; resume goes on later")


def add_doctor_commands(desk: Desk, doctor: DoctorOperations) -> None:
    """Looking at a bus."""
    desk.add("doctor", doctor.doctor, "read every meter of a bus a few times and tell what is wrong: {bus, rounds}")


def add_config_commands(desk: Desk, operations: ConfigOperations) -> None:
    """The commands that only a running gateway has."""
    desk.add("adopt", operations.adopt, 'put found meters into the configuration: {meters: "all" or [...], bus}')
    desk.add("reload", operations.reload, "take over what the configuration file says now: {}")
    desk.add("restart", operations.restart, "start everything anew, in the same process: {}")


def add_live_commands(desk: Desk, settings: LiveSettings, announcer: Announcer | None) -> None:
    """What changes until the next start, and what Home Assistant is told."""
    desk.add("set", settings.set, "until the next start: {device, interval, paused} or {log_level}")
    if announcer is not None:
        desk.add("rediscover", announcer.rediscover, "tell Home Assistant everything anew: {}")


def add_quarantine_commands(desk: Desk, operations: QuarantineOperations) -> None:
    """What is said of values that are not believed."""
    summary = "say of values in quarantine that they are right, or wrong: {device, field, accept: true|false}"
    desk.add("release", operations.release, summary)
