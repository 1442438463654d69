"""Small requests that waited on disk leave as few large ones where the line lets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from emitter._outbox import Outbox
from emitter._records import LOGS, TRACES, Payload
from emitter.spool.backlog import Backlog


class Line:
    """An outbox with a backlog, and a line that takes a request or does not."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        self.backlog = Backlog(folder, "http://collector", "e", 1 << 24, pytest.fail)  # type: ignore[arg-type]
        nothing = SimpleNamespace(request=lambda signal: None, left=0, batch_size=batch_size)
        self.outbox = Outbox(nothing, self.backlog)  # type: ignore[arg-type]

    def drained(self, takes: Callable[[Payload], bool] = lambda payload: True) -> list[Payload]:
        """What arrived, in order."""
        arrived = []
        while (payload := self.outbox.take()) is not None:
            if took := takes(payload):
                arrived.append(payload)
            self.outbox.settle(took)
        self.backlog.close()
        return arrived


def small(number: int, signal: str = LOGS) -> Payload:
    return Payload(signal, b"%04d" % number, 5)


def body(arrived: list[Payload]) -> bytes:
    return b"".join(payload.body for payload in arrived)


def test_a_backlog_of_small_requests_is_gone_in_a_few(tmp_path: Path) -> None:
    """One, two, four and so on, up to the records of a batch: a minute's worth in nine round trips."""
    line = Line(tmp_path, batch_size=300)
    for number in range(240):
        assert line.backlog.keep(small(number))
    arrived = line.drained()
    assert [payload.records for payload in arrived] == [5, 10, 20, 40, 80, 160, 300, 300, 285]
    assert body(arrived) == b"".join(b"%04d" % number for number in range(240))


def test_what_does_not_go_as_one_goes_in_pieces(tmp_path: Path) -> None:
    """A line that takes only small requests still gets each, once and in order."""
    line = Line(tmp_path, batch_size=512)
    for number in range(40):
        assert line.backlog.keep(small(number))
    arrived = line.drained(lambda payload: len(payload.body) <= 8)
    assert body(arrived) == b"".join(b"%04d" % number for number in range(40))


def test_signals_are_not_put_together(tmp_path: Path) -> None:
    """Logs go with logs, spans with spans."""
    line = Line(tmp_path, batch_size=512)
    for number in range(12):
        assert line.backlog.keep(small(number, LOGS if number % 4 else TRACES))
    arrived = line.drained()
    assert body(arrived) == b"".join(b"%04d" % number for number in range(12))
    assert len(arrived) < 12
    of = {b"%04d" % number: LOGS if number % 4 else TRACES for number in range(12)}
    for payload in arrived:
        pieces = [payload.body[at : at + 4] for at in range(0, len(payload.body), 4)]
        assert {of[piece] for piece in pieces} == {payload.signal}
