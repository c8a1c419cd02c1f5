"""A command that is carried out in this process."""
from __future__ import annotations

import signal
import socket
import threading

import pytest

from mbusgw.cli.direct import Direct
from mbusgw.config.models import BusConfig
from tests.wait import PATIENCE_S


def test_ctrl_c_in_the_middle_of_a_read_is_nothing_but_that() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            connection.recv(1)  # the meter is being asked
            signal.raise_signal(signal.SIGINT)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE_S)
        port = silent.getsockname()[1]
        direct = Direct(BusConfig(name="main", port=f"socket://127.0.0.1:{port}", baudrate=300))
        user = threading.Thread(target=interrupt, name="user")
        user.start()
        direct.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                direct.run("read", {"address": 1})
        finally:
            signal.signal(signal.SIGINT, before)
            direct.stop()
            user.join(PATIENCE_S)
