"""``mbusgw simulate --lobaro`` as a process."""
from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.wait import PATIENCE_S
from tests.wmbus.samples import KEY, OMS_GAS


def ask(url: str, token: str) -> dict[str, object]:
    request = urllib.request.Request(
        f"{url}/api/mbus?raw={OMS_GAS.hex()}&key={KEY.hex()}",
        method="POST",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        document: dict[str, object] = json.load(answer)
    return document


def test_it_answers_as_the_service_does_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "mbusgw", "simulate", "--lobaro", "127.0.0.1:0", "--lobaro-token", "open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            assert ask(url, "open")["IdString"] == "12345678"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                ask(url, "wrong")
        finally:
            process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_it_says_why_it_cannot_listen() -> None:
    command = [sys.executable, "-m", "mbusgw", "simulate", "--lobaro", "192.0.2.1:1", "--duration", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "192.0.2.1:1" in done.stderr and "Traceback" not in done.stderr
