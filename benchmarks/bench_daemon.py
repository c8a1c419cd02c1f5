"""How fast the daemon starts, and how much memory it needs with five meters.

    python benchmarks/bench_daemon.py [SECONDS]

Starts it ``STARTS`` times from the start of the process to READY=1 on the notify socket
(median; goal 1.5 s), then lets it read five simulated meters for SECONDS (default 20) and
looks at its resident memory (goal 60 MB), CPU time and threads. For comparison: the same
interpreter that only imports the libraries.
"""
from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STARTS = 5
READY_GOAL_S = 1.5
RSS_GOAL_MB = 60.0
LIBRARIES = "import paho.mqtt.client, pydantic, requests, prometheus_client, serial, yaml, cryptography, simplejson"


def main() -> int:
    """Prints the figures; 0 when both goals are met."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory(prefix="mbusgw-bench-") as name:
        folder = Path(name)
        with _simulator(folder) as port:
            config = _config(folder, port)
            starts = sorted(_start_s(folder, config) for _ in range(STARTS))
            rss_mb, cpu_s, threads = _idle(folder, config, seconds)
    bare_s = statistics.median(_bare_s() for _ in range(STARTS))
    ready_s = statistics.median(starts)
    print(f"start to READY      {ready_s:6.2f} s   (goal {READY_GOAL_S} s; {starts[0]:.2f}-{starts[-1]:.2f};"
          f" interpreter and libraries alone {bare_s:.2f} s)")
    print(f"resident memory     {rss_mb:6.1f} MB  (goal {RSS_GOAL_MB:.0f} MB; {threads} threads, 5 meters)")
    print(f"CPU                 {100 * cpu_s / seconds:6.1f} %   of one core, 5 meters every 5 s")
    return 0 if ready_s <= READY_GOAL_S and rss_mb <= RSS_GOAL_MB else 1


@contextmanager
def _simulator(folder: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mbusgw", "simulate", "--pty", str(folder / "bus")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def _config(folder: Path, port: str) -> Path:
    file = folder / "mbusgw.yaml"
    devices = "".join(f"  - {{id: meter_{n}, bus: main, address: {n}, interval: 5}}\n" for n in range(1, 6))
    file.write_text(
        "mqtt: {url: 'mqtt://127.0.0.1:1'}\nhttp: {listen: '127.0.0.1:0'}\n"
        f"buses: [{{name: main, port: '{port}'}}]\ndevices:\n{devices}"
    )
    return file


@contextmanager
def _daemon(folder: Path, config: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The running daemon, and how long it took to say READY."""
    path = folder / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "mbusgw", "run", "-c", str(config), "--state-dir", str(folder / "state")],
            env={**os.environ, "NOTIFY_SOCKET": str(path)},
            stderr=subprocess.DEVNULL,
        )
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
            yield process, time.monotonic() - begun
        finally:
            process.terminate()
            process.wait(10)


def _start_s(folder: Path, config: Path) -> float:
    with _daemon(folder, config) as (_, seconds):
        return seconds


def _idle(folder: Path, config: Path, seconds: float) -> tuple[float, float, int]:
    with _daemon(folder, config) as (process, _):
        before_s = _cpu_s(process.pid)
        time.sleep(seconds)
        status = Path(f"/proc/{process.pid}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        rss_mb = int(values["VmRSS"].split()[0]) / 1024
        return rss_mb, _cpu_s(process.pid) - before_s, int(values["Threads"])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _bare_s() -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
