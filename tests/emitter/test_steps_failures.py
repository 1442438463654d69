"""No failure of ours ends the loop, and none loses a record uncounted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import emitter
from emitter._clock import Clock
from emitter._guard import guard
from emitter._packer import Packer
from emitter._queue import Queue
from emitter._records import LOGS, TRACES, Span
from emitter._steps import Steps
from emitter.otlp import columns, decode, encoder
from emitter.otlp.encoder import Encoder
from emitter.testing import Captured


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the field: our own bugs are logged, not raised."""
    monkeypatch.setenv("TRAINWARDEN_STRICT", "0")
    monkeypatch.setattr(guard, "_next", guard._next)  # the next test may expect a traceback in the log


def steps(captured: Captured) -> list[Any]:
    return [log.attributes["train.step"] for log in captured.named("train.step")]


class BrokenError(Exception):
    """Injected."""


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """Steps and spans whose number is in the set cannot be encoded."""
    poison: set[Any] = set()
    log, span, block = encoder.log, encoder.span, columns.Columns.block

    def bad_log(record: Any) -> bytes:
        if record.attributes.get("train.step") in poison:
            raise BrokenError(record.name)
        return log(record)

    def bad_span(made: Span) -> bytes:
        if made.span_id in poison:
            raise BrokenError(made.name)
        return span(made)

    def bad_block(self: Any, rows: Any) -> Any:
        return None if any(row[3] in poison for row in rows) else block(self, rows)

    monkeypatch.setattr(encoder, "log", bad_log)
    monkeypatch.setattr(encoder, "span", bad_span)
    monkeypatch.setattr(columns.Columns, "block", bad_block)
    return poison


def packer(queue: Queue) -> Packer:
    return Packer(queue, Encoder({}), Clock(lambda: 0, lambda: 0), 100)


@pytest.mark.usefixtures("lenient")
def test_record_that_cannot_be_encoded_costs_itself_only(breaking: set[Any]) -> None:
    """An exception in the encoder: the other records of the slice go out, this one is counted."""
    queue = Queue(1000)
    taker = Steps(queue, lambda: 0, lambda: None)
    breaking.update({7, 140})
    for _ in range(300):
        taker.step(loss=1.0, norm=2.0)
    taking, arrived = packer(queue), list[Any]()
    while (payload := taking.request(LOGS)) is not None:
        arrived += [log.attributes["train.step"] for log in decode.logs(payload.body)]

    assert arrived == [step for step in range(300) if step not in breaking]
    assert queue.totals == {"internal": 2}


@pytest.mark.usefixtures("lenient")
def test_span_that_cannot_be_encoded_costs_itself_only(breaking: set[Any]) -> None:
    """The same for spans."""
    queue = Queue(1000)
    breaking.add(3)
    for number in range(1, 6):
        queue.offer_span(Span("checkpoint.save", 1, number, None, 0, 1, {}))
    payload = packer(queue).request(TRACES)

    assert payload is not None
    assert [span.span_id for span in decode.spans(payload.body)] == [1, 2, 4, 5]
    assert queue.totals == {"internal": 1}


def test_request_that_cannot_be_made_leaves_its_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised while a request is put together: the next one holds the same records."""
    queue = Queue(1000)
    taker = Steps(queue, lambda: 0, lambda: None)
    for _ in range(50):
        taker.step(loss=1.0, norm=2.0)
    taking = packer(queue)
    with monkeypatch.context() as patched:
        patched.setattr(Encoder, "payload", lambda *_: (_ for _ in ()).throw(BrokenError()))
        with pytest.raises(BrokenError):
            taking.request(LOGS)
    assert taking.left == 50

    payload = taking.request(LOGS)
    assert payload is not None
    assert [log.seq for log in decode.logs(payload.body)] == list(range(50))


@pytest.mark.usefixtures("lenient")
def test_failure_inside_a_call_is_counted(
    captured: Captured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours in the thread of the trainer: no exception, one loss, one traceback in the log."""
    monkeypatch.setattr(Queue, "room", lambda self: 1 // 0)
    emitter.step(0, loss=torch.tensor(1.0))
    monkeypatch.undo()
    emitter.step(1, loss=torch.tensor(1.0))

    assert steps(captured) == [1]
    assert captured.session.queue.totals == {"internal": 1}


class Name(str):
    """A name whose comparison raises."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise BrokenError(str(other))


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("name", ["epoch", "step_time", "step", "loss"])
def test_hostile_name_costs_one_error(captured: Captured, name: str) -> None:
    """It is delivered or counted, once, and the next step is as ever."""
    emitter.step(0, **{Name(name): 1.0, "norm": 1.0})
    emitter.step(1, loss=1.0)

    arrived = steps(captured)
    assert arrived[-1] == 1
    assert len(arrived) + captured.session.queue.totals.get("internal", 0) == 2
