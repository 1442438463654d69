"""One hook and its far end, on every way that can go wrong."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from stream.notify import sender as sending
from stream.notify.config import Hook
from stream.notify.errors import LaterError, RefusedError, UndeliveredError
from stream.notify.notice import Notice
from stream.notify.sender import Sender
from tests import certificates
from tests.fixtures import free_port
from tests.stream.notify.far_end import FarEnd, Reply, serving

NOTICE = Notice("c1/held", "held", "2026-01-01T00:00:00Z", "Loss is NaN", run="gpt-7")


def _deliver(url: str, **more: Any) -> None:
    async def deliver() -> None:
        hook = Hook("ops", more.pop("kind", "json"), url, **{"give_up_s": 30.0, "timeout_s": 10.0, **more})
        async with Sender(hook, first_pause_s=0.01) as sender:
            await sender.deliver(NOTICE)

    asyncio.run(deliver())


def test_a_notice_arrives_once_with_its_key() -> None:
    """The id of the decision is the idempotency key; headers of the hook go with it."""
    with serving() as end:
        _deliver(end.url, headers={"Authorization": "Bearer x"})
    (request,) = end.requests
    assert request.path == "/hook"
    assert request.headers["Idempotency-Key"] == "c1/held"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer x"
    assert request.headers["User-Agent"].startswith("trainwarden/")
    assert request.json["summary"] == "Loss is NaN"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_what_may_pass_is_tried_again(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """With the same key, and a line in the log for each pause."""
    with serving(Reply(status), Reply(status, b"busy"), Reply()) as end, caplog.at_level(logging.WARNING):
        _deliver(end.url)
    assert [request.headers["Idempotency-Key"] for request in end.requests] == ["c1/held"] * 3
    assert f"it answered {status} (busy); trying again in" in caplog.text
    assert "/hook" not in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 302])
def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    """One request, and why."""
    cure = "; check the hook's `url`" if status in (404, 410, 302) else ""
    with serving(Reply(status, b"no_service", {"Location": "http://127.0.0.1:1/"})) as end:
        with pytest.raises(RefusedError) as caught:
            _deliver(end.url)
        assert len(end.requests) == 1
    assert str(caught.value) == f"it answered {status} (no_service){cure}"


def test_retry_after_is_honoured() -> None:
    """No sooner than the far end asked for."""
    with serving(Reply(429, b"", {"Retry-After": "1"}), Reply()) as end:
        _deliver(end.url)
    first, second = end.requests
    assert second.at - first.at >= 1.0


def test_retry_after_beyond_our_patience_gives_up_at_once() -> None:
    """Nothing waits for an hour; the error is that of the far end."""
    with serving(Reply(429, b"slow down", {"Retry-After": "3600"})) as end:
        with pytest.raises(LaterError, match=r"it answered 429 \(slow down\)"):
            _deliver(end.url)
        assert len(end.requests) == 1


def test_retries_are_bounded() -> None:
    """A far end that stays broken is given up, within the time that was set."""
    began = time.monotonic()
    with serving(Reply(500)) as end:
        with pytest.raises(LaterError, match="it answered 500"):
            _deliver(end.url, give_up_s=1.0)
        assert len(end.requests) > 2
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), (None, None), ("soon", None), ("-3", None), ("\N{SUPERSCRIPT TWO}", None),
     (email.utils.formatdate(1000.0, usegmt=True), 10.0), (email.utils.formatdate(900.0, usegmt=True), 0.0)],
)  # fmt: skip
def test_both_forms_of_retry_after(text: str | None, seconds: float | None) -> None:
    """Seconds, or a date."""
    assert sending.retry_after(text, now=lambda: 990.0) == seconds


def _fails(url: str, words: str, **more: Any) -> None:
    with pytest.raises(UndeliveredError) as caught:
        _deliver(url, **{"give_up_s": 0.5, **more})
    assert words in str(caught.value)
    assert "hook" not in str(caught.value)


def test_nobody_listens() -> None:
    """Refused: said without the address, which may be the secret."""
    _fails(f"http://127.0.0.1:{free_port()}/hook", "not reached: ")


def test_a_name_that_does_not_exist() -> None:
    """DNS: the same."""
    _fails("http://no-such-host.invalid/hook", "not reached: ")


def test_a_slow_far_end() -> None:
    """It has the time that was set and no more."""
    with serving(Reply(after_s=1.0)) as end:
        _fails(end.url, "no answer within 0.1 s", timeout_s=0.1)


def test_an_answer_that_never_ends() -> None:
    """A length that is promised and not kept is a time-out, too."""
    with serving(Reply(headers={"Content-Length": "1000"}, body=b"x")) as end:
        _fails(end.url, "", timeout_s=0.3)


def test_an_unknown_certificate_and_its_cure(tmp_path: Path) -> None:
    """TLS is checked; with the CA's file it passes."""
    certificate = certificates.write(tmp_path)
    with serving(certificate=certificate) as end:
        _fails(end.url, "if the far end has a CA of its own, name its file as `ca`")
        assert not end.requests
        _deliver(end.url, ca=str(certificate[1]))
        assert len(end.requests) == 1


def test_http_where_https_is_spoken(tmp_path: Path) -> None:
    """A wrong scheme ends in an error, not in a hang."""
    with serving(certificate=certificates.write(tmp_path)) as end:
        _fails(end.url.replace("https", "http"), "", timeout_s=2.0)


def test_feishu_refuses_with_status_200() -> None:
    """Its code is read: refused is not tried again, busy is."""
    refused = Reply(body=b'{"code":19021,"msg":"sign match fail"}')
    with serving(refused) as end:
        with pytest.raises(RefusedError, match="code 19021"):
            _deliver(end.url, kind="feishu", secret="x")
        assert len(end.requests) == 1
    busy, fine = Reply(body=b'{"code":11232,"msg":"frequency limited"}'), Reply(body=b'{"code":0}')
    with serving(busy, fine) as end:
        _deliver(end.url, kind="feishu", secret="x")
        _signed(end)


def _signed(end: FarEnd) -> None:
    assert len(end.requests) == 2
    assert all(request.json["sign"] for request in end.requests)
