"""Serial ports, local and over TCP. The home of pyserial.

``/dev/tty…``, ``/dev/serial/by-id/…`` and ptys are opened exclusively, all but ptys with a lock
file besides (``lockfile``), for programs that only look there; ``socket://host:port`` and
``rfc2217://host:port`` are pyserial's URLs. Whatever goes wrong leaves this module as one of
ours: ``TransportOpenFailed``, ``TransportLost``, ``BusLocked``.
"""
from __future__ import annotations

import errno
import os
import select
import socket
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import serial
from serial import rfc2217

from mbusgw.model.errors import BusLocked, MbusgwError, TransportLost, TransportOpenFailed
from mbusgw.transports import latency
from mbusgw.transports.enumerate import holders, present_ports
from mbusgw.transports.lockfile import LockDirectory, PortLock

#: What can come out of pyserial. ``termios.error`` is no OSError; a closed descriptor gives TypeError or ValueError.
FAILURES = (serial.SerialException, termios.error, OSError, ValueError, TypeError)

#: How much later than the wire's own time a byte may reach us through a network; ``latency`` has that of local ports.
NETWORK_SLACK_S = 0.150

WRITE_TIMEOUT_S = 2.0
#: An unplugged converter acknowledges nothing: the kernel then gives the connection up after this time.
TCP_USER_TIMEOUT_MS = 5000


class SerialPort:
    """One open port. Raises ``TransportLost`` when it goes away. **own thread**

    ``url`` is what it was opened as; ``slack_s`` how late bytes may come through it, which is
    ``slack_guessed`` where its driver does not say;
    ``warning`` why it has no lock file, where it should have one.
    """

    def __init__(self, port: serial.SerialBase, url: str, lock: PortLock | None = None) -> None:
        self.url = url
        self.warning = "" if lock is None else lock.warning
        self._lock = lock
        known_s = NETWORK_SLACK_S if "://" in url else latency.slack_s(url)
        self.slack_guessed = known_s is None
        self.slack_s = latency.UNKNOWN_SLACK_S if known_s is None else known_s
        self._port = port

    def read(self, max_bytes: int, timeout_s: float) -> bytes:
        """What is there, up to ``max_bytes``, as soon as anything is; ``b""`` after ``timeout_s`` seconds."""
        with _as_lost(self.url):
            if isinstance(self._port, rfc2217.Serial):
                return _read_rfc2217(self._port, max_bytes, max(0.0, timeout_s))
            # Not by pyserial: it would wait for all ``max_bytes`` or look twice, and changing its timeout
            # configures the terminal anew, which a pty refuses.
            descriptor = self._port.fileno()
            ready, _, _ = select.select((descriptor,), (), (), max(0.0, timeout_s))
            some = _read_descriptor(descriptor, max_bytes) if ready else None
            if some == b"":  # always ready, and nothing there
                raise ConnectionError("the connection was closed" if "://" in self.url else "the device is gone")
            return some or b""

    def rest(self, seconds: float) -> None:
        """Lets bytes come in for so long."""
        select.select((), (), (), seconds)

    def write(self, data: bytes) -> None:
        """Hands ``data`` to the driver; it goes over the wire at the port's own pace."""
        with _as_lost(self.url):
            self._port.write(data)

    def purge(self) -> bytes:
        """Takes away what has come in so far and returns it; never waits."""
        dropped = bytearray()
        while len(dropped) < 65536 and (some := self.read(4096, 0)):
            dropped += some
        return bytes(dropped)

    def set_baudrate(self, baudrate: int) -> None:
        """The speed from now on. Raises ``TransportOpenFailed`` where it cannot be changed; it is as before then."""
        before = self._port.baudrate
        if baudrate == before:
            return
        if self.url.startswith("socket:"):
            hint = "its speed is set in the converter itself; one that speaks rfc2217:// can change it"
            raise TransportOpenFailed(f"{self.url} stays at {before} baud", hint=hint)
        try:
            self._port.baudrate = baudrate
        except FAILURES as error:
            with _as_lost(self.url):
                self._port.baudrate = before
            raise TransportOpenFailed(f"{self.url} cannot do {baudrate} baud: {_reason(error)}") from error

    def close(self) -> None:
        """Gives the port back. Never raises: a port that is gone is as closed as can be."""
        try:
            self._port.close()
        except FAILURES:
            pass
        if self._lock is not None:
            self._lock.release()


def open_port(url: str, *, baudrate: int, parity: str = "E", locks: LockDirectory = LockDirectory()) -> SerialPort:
    """Opens a port with 8 data bits, ``parity`` (E, N, O) and 1 stop bit. Any thread.

    Raises ``TransportOpenFailed`` (with what to do about it) or ``BusLocked``.
    """
    network = "://" in url
    # A Linux pty cannot hold parity: the first opening works, every later one fails (EINVAL).
    parity = "N" if not network and latency.is_pty(url) else parity
    lock = None if network else locks.take(url)
    port: serial.SerialBase | None = None
    try:
        port = serial.serial_for_url(
            url,
            do_not_open=True,
            baudrate=baudrate,
            parity=parity,
            timeout=0,
            write_timeout=None if url.startswith("rfc2217:") else WRITE_TIMEOUT_S,
            exclusive=None if network else True,
        )
        port.open()
        if url.startswith("socket:"):
            _tune(port.fileno())
        elif not network and latency.latency_timer(url) is not None:
            _hasten(port)
    except FAILURES as error:
        if port is not None:
            SerialPort(port, url).close()
        if lock is not None:
            lock.release()
        raise open_error(url, error) from error
    return SerialPort(port, url, lock)


def _read_descriptor(descriptor: int, max_bytes: int) -> bytes | None:
    """What is there, ``b""`` at the end of it; None where it was a false alarm."""
    try:
        return os.read(descriptor, max_bytes)
    except BlockingIOError:
        return None


def _read_rfc2217(port: rfc2217.Serial, max_bytes: int, timeout_s: float) -> bytes:
    # The public ``timeout`` would negotiate every setting with the far end again.
    port._timeout = timeout_s  # type: ignore[attr-defined]
    first = bytes(port.read(1))
    port._timeout = 0  # type: ignore[attr-defined]
    return first + bytes(port.read(max_bytes - 1)) if first and max_bytes > 1 else first


def _hasten(port: serial.SerialBase) -> None:
    """Has the adapter pass bytes on within a millisecond: else the end of each answer comes up to 16 ms late.

    Any user of the port may ask for that; the driver of one that cannot says so, and ``latency`` reads what it does.
    """
    try:
        port.set_low_latency_mode(True)  # type: ignore[attr-defined]
    except (ValueError, NotImplementedError):
        pass


def _tune(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as connection:  # options belong to the connection, not the descriptor
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)


@contextmanager
def _as_lost(url: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        hint = "is the converter on the network?" if "://" in url else "is the adapter still plugged in?"
        raise TransportLost(f"lost {url}: {_reason(error)}", hint=hint) from error


def open_error(url: str, error: BaseException) -> MbusgwError:
    """What a failure to open ``url`` means, and what a person can do about it."""
    code = _errno(error)
    if "://" in url:
        return TransportOpenFailed(f"cannot connect to {url}: {_reason(error)}", hint=_network_hint(error, code))
    if code in (errno.EAGAIN, errno.EBUSY):
        who = ", ".join(holders(url)) or "another process"
        return BusLocked(f"{url} is in use by {who}", hint="two programs cannot talk on one M-Bus; stop one of them")
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        ports = ", ".join(present_ports())
        hint = f"ports there are: {ports}" if ports else "no serial port was found: is the adapter plugged in?"
        return TransportOpenFailed(f"{url} does not exist", hint=hint)
    if code in (errno.EACCES, errno.EPERM):
        hint = "the user must be in group dialout: sudo usermod -aG dialout USER, then log in again or restart"
        return TransportOpenFailed(f"no permission to open {url}", hint=hint)
    if code in (errno.ENOTTY, errno.EISDIR):
        return TransportOpenFailed(f"{url} is no serial port", hint="give a port such as /dev/ttyUSB0")
    return TransportOpenFailed(f"cannot open {url}: {_reason(error)}")


def _network_hint(error: BaseException, code: int | None) -> str:
    if isinstance(error.__context__, socket.gaierror):
        return "no such host: is the name right?"
    if code == errno.ECONNREFUSED:
        return "the host is there, but nothing listens on that port, or it serves only one connection at a time"
    if code in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT):
        return "the host does not answer: is the converter switched on and the address right?"
    return "expected socket://host:port or rfc2217://host:port"


def _errno(error: BaseException) -> int | None:
    """The system's error number, wherever the library has put it."""
    for one in (error, error.__cause__, error.__context__):
        if isinstance(one, OSError) and one.errno is not None:
            return one.errno
        if isinstance(one, termios.error) and one.args and isinstance(one.args[0], int):
            return one.args[0]
        if isinstance(one, TimeoutError):
            return errno.ETIMEDOUT
    return None


def _reason(error: BaseException) -> str:
    """The system's words, without the library's wrapping."""
    for one in (error.__cause__, error.__context__, error):
        if isinstance(one, OSError) and one.errno is not None:
            return one.strerror or os.strerror(one.errno)
    return str(error) or type(error).__name__
