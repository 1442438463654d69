"""The moment since which something is absent."""

from __future__ import annotations

from typing import Any

from stream.events import Event


class Since:
    """The event since which something is absent: it names the diagnosis."""

    __slots__ = ("epoch", "seq", "step", "time")

    def __init__(self, time: int, seq: int | None, step: int | None, epoch: float | None) -> None:
        self.time = time
        self.seq = seq
        self.step = step
        self.epoch = epoch


def save_since(one: Since | None) -> list[Any] | None:
    """Plain data of which ``Since`` can be made again."""
    return None if one is None else [one.time, one.seq, one.step, one.epoch]


def since(event: Event, time_ns: int) -> Since:
    """An event as the beginning of an absence at this time."""
    return Since(time_ns, event.seq, event.step, event.epoch)
