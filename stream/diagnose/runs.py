"""What the engine remembers of one run: its attempt, its emitters, its series, and what is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stream.diagnose.absence import Listener
from stream.diagnose.meeting import Meeting
from stream.diagnose.meeting_saved import save_meeting
from stream.diagnose.ordering import SeqOrder
from stream.diagnose.plans import Feeder, Plan
from stream.diagnose.reading import NO_GROUPS
from stream.diagnose.saved import save_struct
from stream.diagnose.series import Key, Series
from stream.diagnose.tracks import Track
from stream.events import Event, Resource
from stream.rulelang import windows
from stream.rulelang.windows import Window

MAX_ROUTES: Final = 256
"""Combinations of names of values that one emitter's routes are kept for."""


_FLOATS: Final = {float}


class Feed:
    """A window that events of another name fill, and what it takes from them."""

    __slots__ = ("feeder", "window")

    def __init__(self, feeder: Feeder, window: Window) -> None:
        self.feeder = feeder
        self.window = window

    def take(self, event: Event, resource: Resource) -> None:
        """Fill the window from an event of the other name; one that lacks a field is skipped."""
        name = self.feeder.name
        if name is not None:
            value = event.values.get(name)
            if type(value) is float:
                self.window.push(event.time, value)
                return
        slots = self.feeder.read(event, resource, NO_GROUPS)
        if slots is not None:
            self.window.push(event.time, self.feeder.spec.source(slots, ()))

    def take_all(
        self, events: Sequence[Event], columns: Mapping[str, Sequence[Any]], begin: int, resource: Resource
    ) -> None:
        """The same of several events that look alike; from ``begin`` on their values are in the columns."""
        name, tape = self.feeder.name, self.window.tape
        if name is not None and tape.plain:
            column = columns[name][begin : begin + len(events)]
            if set(map(type, column)) == _FLOATS:
                total: float = sum(column)
                finite = total - total == 0.0
                tape.extend(column if finite else [value for value in column if value - value == 0.0])
                return
        for event in events:
            self.take(event, resource)


class Route:
    """Where events with the same name and the same names of values go, in the order of the rules.

    ``series`` has a plan's series, or None where the event itself says which. ``missing`` is filled only
    for a watched engine: plans on this event that lack a value, and its name. ``single``: the same without
    rules over several ranks, None where there are none. ``track`` is made of ``series`` when the first
    event comes.
    """

    __slots__ = ("feeds", "missing", "series", "single", "track")

    def __init__(self) -> None:
        self.feeds: list[tuple[Plan, Feed]] = []
        self.series: list[tuple[Plan, Series | None]] = []
        self.missing: list[tuple[Plan, str]] = []
        self.single: Route | None = None
        self.track: Track | None = None


class Emitter:
    """One emitter process of one attempt. ``routes``: by an event's name and the names of its values."""

    __slots__ = ("key", "listeners", "live", "order", "resource", "routes")

    def __init__(self, key: str, resource: Resource) -> None:
        self.key = key
        self.resource = resource
        self.order = SeqOrder()
        self.routes: dict[tuple[str, ...], Route] = {}
        self.listeners: dict[str, list[Listener]] = {}
        self.live = True

    def save(self) -> list[Any]:
        """Plain data for ``loaded_emitter``; routes and listeners are found again."""
        return [self.key, save_struct(self.resource), self.order.save(), self.live]


class Run:
    """One run. Everything but ``positions`` belongs to the present attempt.

    ``open``: the series that are open, in the order in which they opened. ``feeds``: windows filled by other
    events, by rule, place and the part of the key that the resource gives. ``crews``: the listeners of a
    rule and role. ``voices``: who says the events named diagnosis. ``meet`` makes the meeting of a new
    attempt.
    """

    __slots__ = (
        "attempt", "crews", "emitters", "feeds", "holding", "id", "listeners", "meet", "meeting", "open",
        "positions", "seen", "series", "voices",
    )  # fmt: skip

    def __init__(self, run_id: str, attempt: int, meet: Callable[[], Meeting]) -> None:
        self.id = run_id
        self.meet = meet
        self.positions: dict[tuple[str, int], int] = {}
        self.seen: int | None = None
        self.begin(attempt)

    def begin(self, attempt: int) -> None:
        """Start an attempt with nothing remembered of the one before."""
        self.attempt = attempt
        self.meeting = self.meet()
        self.emitters: dict[str, Emitter] = {}
        self.series: dict[tuple[str, Key], Series] = {}
        self.feeds: dict[tuple[str, int, Key], Feed] = {}
        self.listeners: dict[tuple[str, Key], Listener] = {}
        self.crews: dict[tuple[str, str | None], list[Listener]] = {}
        self.open: dict[tuple[str, Key], Series] = {}
        self.holding: dict[str, Emitter] = {}
        self.voices: dict[tuple[int | None, str | None, str | None], Emitter] = {}

    def save(self) -> dict[str, Any]:
        """Plain data that stream.diagnose.restoring reads."""
        return {
            "id": self.id,
            "attempt": self.attempt,
            "positions": [[*place, last] for place, last in self.positions.items()],
            "seen": self.seen,
            "emitters": [emitter.save() for emitter in self.emitters.values()],
            "holding": list(self.holding),
            "feeds": [
                [rule, index, list(key), feed.window.save()]
                for (rule, index, key), feed in self.feeds.items()
            ],
            "series": [series.save() for series in self.series.values()],
            "open": [[rule, list(key)] for rule, key in self.open],
            "listeners": [listener.save() for listener in self.listeners.values()],
            "meeting": save_meeting(self.meeting, (*self.open.values(), *self.listeners.values())),
        }

    def feed(self, plan: Plan, feeder: Feeder, resource: Resource) -> Feed:
        """The window of this rule that the other events of this resource's series fill."""
        return self.feed_at(plan, feeder, plan.keys.of_resource(resource))

    def feed_at(self, plan: Plan, feeder: Feeder, shared: Key) -> Feed:
        """The same by the part of the key that the resource gives."""
        key = (plan.rule.id, feeder.index, shared)
        found = self.feeds.get(key)
        if found is None:
            found = self.feeds[key] = Feed(feeder, windows.make([feeder.spec])[0])
        return found


def new_series(run: Run, plan: Plan, key: Key) -> Series:
    """A series with its windows in the order of the program: its own, and those that other events fill."""
    return Series(plan, key, _windows(run, plan, key))


def _windows(run: Run, plan: Plan, key: Key) -> list[Window]:
    found = windows.make(plan.program.windows)
    shared = plan.keys.shared(key)
    for feeder in plan.feeders:
        found[feeder.index] = run.feed_at(plan, feeder, shared).window
    return found


def emitter_key(resource: Resource) -> str:
    """What tells emitters apart; sources without an id are told apart by who and where they are."""
    if resource.emitter:
        return resource.emitter
    return f"{resource.service}/{resource.node}/{resource.pid}/{resource.role}/{resource.rank}"
