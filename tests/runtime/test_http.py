"""Posting to web servers."""
from __future__ import annotations

import logging
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.http import Answer, Broken, Http, Request, retry_after_s
from tests.fakes.clock import FakeClock
from tests.fakes.consumer import Consumer, Reply

SECRET = "T0KEN-IN-THE-PATH"


def test_no_log_shows_the_path_a_query_or_a_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    http = Http(SystemClock())
    with Consumer() as consumer:
        request = Request(
            f"{consumer.url}/{SECRET}", b"{}", query={"q": SECRET}, headers={"X-Key": SECRET}, authorization=SECRET
        )
        assert isinstance(http.post(request, timeout_s=5), Answer)
        consumer.answer = lambda _taken: Reply(0)  # it hangs up
        assert http.post(request, timeout_s=5) is Broken.CONNECTION
        http.close()
    assert consumer.taken[0].path == f"/{SECRET}?q={SECRET}" and consumer.taken[0].headers["Authorization"] == SECRET
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}, "there was something to clean"
    assert SECRET not in caplog.text + "".join(str(vars(record)) for record in caplog.records) + repr(request)


def test_a_netrc_file_does_not_take_the_place_of_what_was_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    http = Http(SystemClock())
    with Consumer() as consumer:
        for authorization in (None, "Bearer mine"):
            http.post(Request(consumer.url, b"", authorization=authorization), timeout_s=5)
        http.close()
    assert [one.headers.get("Authorization") for one in consumer.taken] == [None, "Bearer mine"]


@pytest.mark.parametrize(
    "text,seconds",
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Sun, 22 Nov 2026 12:05:00 GMT", 60.0),
        ("Sun, 22 Nov 2020 12:05:00 GMT", 0.0),
        ("Sun, 22 Nov 2099 12:05:00 GMT", 3600.0),
        ("999999999", 3600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_retry_after_may_be_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, FakeClock(datetime(2026, 11, 22, 12, 4, tzinfo=timezone.utc))) == seconds
