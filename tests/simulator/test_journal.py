"""The log of a simulated wire: each frame with its time, and what was said."""
from __future__ import annotations

import io
import json

import pytest

from mbusgw.mbus.session import Session
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meters
from mbusgw.simulator.journal import Journal
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.wired.readout import build_reading
from tests.simulator.wire import CLOCK


def test_every_frame_and_every_value_is_written_down() -> None:
    file = io.StringIO()
    journal = Journal(file, clock=CLOCK, baudrate=2400)
    line = VirtualLine(Cable(build_meters(2, clock=CLOCK), baudrate=2400, witness=journal))
    session = Session(line, baudrate=2400, mono=line.mono)
    answer = session.read_user_data(2)
    journal.event("fault 2 silent")
    journal.flush()
    lines = [json.loads(text) for text in file.getvalue().splitlines()]
    assert [one["what"] for one in lines] == ["request", "answer", "request", "values", "event", "answer"]
    assert (lines[0]["hex"], lines[1]["hex"]) == ("1040024216", "e5")
    assert lines[5]["hex"] == answer.frames[0].hex()
    assert lines[5]["until"] - lines[5]["mono"] == pytest.approx(len(answer.frames[0]) * 11 / 2400, abs=1e-4)
    assert lines[2]["mono"] - lines[1]["until"] >= 33 / 2400 - 1e-5
    reading = build_reading("water", answer, CLOCK.now())
    assert lines[3]["values"]["volume"] == float(reading.fields["volume"].value)  # type: ignore[arg-type]
    assert lines[3]["units"]["volume"] == "m³" and lines[3]["address"] == 2
    assert lines[4]["text"] == "fault 2 silent"
