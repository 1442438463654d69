"""Lines that aiokafka repeats while a broker is away, on a handler as the worker has it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from stream.faustkit.repeats import Repeats

AWAY = "Unable connect to node with id %s: %s"


class Heard(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def heard() -> Iterator[Heard]:
    """A handler of the root logger."""
    handler = Heard()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def test_a_repeated_line_is_told_once_and_counted(heard: Heard) -> None:
    """Two addresses are two lines, children belong to it, and others are let alone."""
    clock = Clock()
    heard.addFilter(Repeats("aiokafka", every_s=30.0, clock=clock))
    client, ours = logging.getLogger("aiokafka.conn"), logging.getLogger("stream.other")
    for tick in range(100):
        clock.now = 100.0 + tick * 0.1
        client.error(AWAY, 1, "refused")
        client.error(AWAY, 2, "refused")
        ours.error("the same")
    clock.now = 131.0
    client.error(AWAY, 1, "refused")
    client.error(AWAY, 1, "refused")

    told = [line for line in heard.lines if line != "the same"]
    assert told == [
        "Unable connect to node with id 1: refused",
        "Unable connect to node with id 2: refused",
        "Unable connect to node with id 1: refused (99 more in 31 s)",
    ]
    assert len(heard.lines) == 103


def test_many_different_lines_are_all_told_in_bounded_memory(heard: Heard) -> None:
    """What it remembers is forgotten when it is much."""
    damper = Repeats("aiokafka")
    heard.addFilter(damper)
    for number in range(1000):
        logging.getLogger("aiokafka").error("record %d", number)
    assert len(heard.lines) == 1000
    assert len(damper._seen) <= 256
