"""What 250 meters on four buses cost at the wire's pace: memory and CPU of the daemon's process alone.

    python benchmarks/bench_fleet.py [SECONDS]

Four segments of simulated meters at 2400 baud, each a process of its own, a real broker, and the daemon with an
interval that the wire can just keep up with. After a warm-up of one interval its CPU time over SECONDS (default 60) and
its resident memory are looked at (goals: 5 % of a core, 90 MB).
"""
from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench_daemon import _cpu_s, _daemon

BUSES, METERS, BAUDRATE = 4, 250, 2400
#: 63 meters need 28 to 30 s at 2400 baud.
INTERVAL_S = 32
RSS_GOAL_MB, CPU_GOAL = 90.0, 0.05


def main() -> int:
    """Prints the figures; 0 when both goals are met."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory(prefix="mbusgw-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = _broker(folder, stack)
        counts = [METERS // BUSES + (number < METERS % BUSES) for number in range(BUSES)]
        ports = [_segment(folder / f"bus{number}", count, stack) for number, count in enumerate(counts)]
        with _daemon(folder, _config(folder, broker, ports, counts)) as (process, _):
            time.sleep(INTERVAL_S + 5)
            reads, before_s, began = _reads(folder), _cpu_s(process.pid), time.monotonic()
            time.sleep(seconds)
            took_s = time.monotonic() - began
            cpu, reads = (_cpu_s(process.pid) - before_s) / took_s, _reads(folder) - reads
            rss_mb = _rss_mb(process.pid)
    print(f"reads               {reads / took_s:6.1f} /s  ({METERS} meters on {BUSES} buses, every {INTERVAL_S} s)")
    print(f"CPU                 {100 * cpu:6.1f} %   of one core (goal {100 * CPU_GOAL:.0f} %)")
    print(f"resident memory     {rss_mb:6.1f} MB  (goal {RSS_GOAL_MB:.0f} MB)")
    return 0 if cpu <= CPU_GOAL and rss_mb <= RSS_GOAL_MB else 1


def _broker(folder: Path, stack: ExitStack) -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    _end(stack, subprocess.Popen([program, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    return port


def _segment(link: Path, count: int, stack: ExitStack) -> str:
    command = [sys.executable, "-m", "mbusgw", "simulate", "--pty", str(link), "--meters", str(count)]
    process = subprocess.Popen(
        [*command, "--baud", str(BAUDRATE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    _end(stack, process)
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _end(stack: ExitStack, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    stack.callback(process.wait, 10)
    stack.callback(process.terminate)


def _config(folder: Path, broker: int, ports: list[str], counts: list[int]) -> Path:
    buses = "".join(f"  - {{name: bus{n}, port: '{port}', baudrate: {BAUDRATE}}}\n" for n, port in enumerate(ports))
    devices = "".join(
        f"  - {{id: bus{n}_meter_{address}, bus: bus{n}, address: {address}, interval: {INTERVAL_S}}}\n"
        for n, count in enumerate(counts)
        for address in range(1, count + 1)
    )
    file = folder / "mbusgw.yaml"
    file.write_text(
        f"mqtt: {{url: 'mqtt://127.0.0.1:{broker}'}}\nhttp: {{listen: '127.0.0.1:0'}}\n"
        f"buses:\n{buses}devices:\n{devices}"
    )
    return file


def _reads(folder: Path) -> int:
    """Readings that are in the history."""
    connection = sqlite3.connect(f"file:{folder}/state/mbusgw.db?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM readings").fetchone()[0])
    finally:
        connection.close()


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
