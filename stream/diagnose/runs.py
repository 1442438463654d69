"""What the engine remembers of one run: its attempt, its emitters, its series, and what is open."""

from __future__ import annotations

from typing import Any

from stream.diagnose.absence import Listener
from stream.diagnose.ordering import SeqOrder
from stream.diagnose.series import Series
from stream.events import Resource


class Emitter:
    """One emitter process of one attempt. ``routes`` maps an event's name to the series it feeds."""

    __slots__ = ("key", "listeners", "live", "order", "resource", "routes")

    def __init__(self, key: str, resource: Resource) -> None:
        self.key = key
        self.resource = resource
        self.order = SeqOrder()
        self.routes: dict[str, list[Series]] = {}
        self.listeners: list[Listener] | None = None
        self.live = True


class Run:
    """One run. Everything but ``positions`` belongs to the present attempt."""

    __slots__ = (
        "attempt", "emitters", "firing", "holding", "id", "listeners", "positions", "seen", "series",
    )  # fmt: skip

    def __init__(self, run_id: str, attempt: int) -> None:
        self.id = run_id
        self.positions: dict[tuple[str, int], int] = {}
        self.seen: int | None = None
        self.begin(attempt)

    def begin(self, attempt: int) -> None:
        """Start an attempt with nothing remembered of the one before."""
        self.attempt = attempt
        self.emitters: dict[str, Emitter] = {}
        self.series: dict[tuple[str, tuple[Any, ...]], Series] = {}
        self.listeners: dict[tuple[str, tuple[Any, ...]], Listener] = {}
        self.firing: dict[str, int] = {}
        self.holding: dict[str, Emitter] = {}

    def inhibited(self, causes: tuple[str, ...]) -> bool:
        """Whether one of these rules fires in the present attempt."""
        return any(self.firing.get(cause) for cause in causes)

    def opened(self, rule: str) -> None:
        """Count a diagnosis of this rule as open."""
        self.firing[rule] = self.firing.get(rule, 0) + 1

    def closed(self, rule: str) -> None:
        """Count one diagnosis of this rule less as open."""
        self.firing[rule] -= 1


def emitter_key(resource: Resource) -> str:
    """What tells emitters apart; sources without an id are told apart by who and where they are."""
    if resource.emitter:
        return resource.emitter
    return f"{resource.service}/{resource.node}/{resource.pid}/{resource.role}/{resource.rank}"


def series_key(by: tuple[str, ...], resource: Resource) -> tuple[Any, ...]:
    """The values of ``by`` besides the run."""
    return tuple(getattr(resource, word) for word in by if word != "run")
