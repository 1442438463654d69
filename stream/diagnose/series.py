"""One rule over one series: its windows, and whether it is quiet, matching or open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.inhibition import Held
from stream.diagnose.plans import Plan
from stream.diagnose.reading import NO_NUMBER
from stream.diagnose.saved import load_diagnosis, save_diagnosis
from stream.events import Event
from stream.rulelang.model import Rule
from stream.rulelang.windows import Window

TEXT_LIMIT: Final = 500
"""Characters of one text in the evidence."""

Key = tuple[Any, ...]


class First:
    """The first sample of a matching stretch: it names the diagnosis."""

    __slots__ = ("seq", "step", "time")

    def __init__(self, seq: int | None, step: int | None, time: int) -> None:
        self.seq = seq
        self.step = step
        self.time = time


def first(event: Event) -> First:
    """What an event gives to the name of a diagnosis."""
    return First(event.seq, event.step, event.time)


class Series:
    """State of one rule for one series key.

    ``first`` is set while samples match or the rule is open. ``open``: the persistence was reached and
    nothing ended it since. ``diagnosis`` is what was said of that, None while a cause keeps it quiet.
    ``slots`` and ``peers`` are those of the sample judged last, ``emitter`` is the key of who opened it.
    ``foreseen``: the forecast that still holds for it.
    """

    __slots__ = (
        "diagnosis", "emitter", "first", "foreseen", "held", "key", "last_match", "matches", "open", "own",
        "peers", "plan", "slots", "windows",
    )  # fmt: skip

    def __init__(self, plan: Plan, key: Key, windows: list[Window]) -> None:
        self.plan = plan
        self.key = key
        self.windows = windows
        self.own = [windows[index] for index in plan.own]
        self.first: First | None = None
        self.matches = 0
        self.last_match = 0
        self.open = False
        self.diagnosis: Diagnosis | None = None
        self.held: Held | None = None
        self.emitter = ""
        self.foreseen: object = None
        self.slots: Sequence[Any] = ()
        self.peers: Sequence[Any] = ()

    @property
    def rule(self) -> Rule:
        """The rule this is a series of."""
        return self.plan.rule

    def excused(self, made: Diagnosis, time_ns: int) -> bool:
        """Never: only absences are."""
        return False

    def matched(self, event: Event) -> bool:
        """Count a matching sample; True when the rule's persistence is reached."""
        if self.first is None:
            self.first = first(event)
        self.matches += 1
        self.last_match = event.time
        return self.matches >= self.plan.for_count and event.time - self.first.time >= self.plan.for_ns

    def ends(self, event: Event) -> bool:
        """Whether an open series ends with this sample, which does not match."""
        plan = self.plan
        if plan.quiet and plan.program.clear is not None:
            return True
        # Without keep_firing no clock is asked: recorded data may have none, and a rollback takes steps back.
        return not plan.keep_ns or event.time - self.last_match >= plan.keep_ns

    def reset(self) -> None:
        """Forget the matching stretch."""
        self.first = None
        self.matches = 0
        self.open = False
        self.diagnosis = None

    def learn(self, time_ns: int) -> None:
        """Take the present sample into the windows: all its values are computed before any is."""
        self.foreseen = None
        values = self.plan.program.sources(self.slots, self.windows)
        for window, value in zip(self.own, values, strict=True):
            window.push(time_ns, value)

    def save(self) -> list[Any]:
        """Plain data that ``load`` reads, its own windows with it; what it is a series of comes first."""
        begun = self.first
        return [
            self.rule.id,
            list(self.key),
            None if begun is None else [begun.seq, begun.step, begun.time],
            self.matches,
            self.last_match,
            self.open,
            save_diagnosis(self.diagnosis),
            self.emitter,
            [window.save() for window in self.own],
        ]

    def load(self, saved: Sequence[Any]) -> None:
        """Become what ``save`` gave; for a series that saw nothing yet."""
        _, _, begun, self.matches, self.last_match, self.open, diagnosis, self.emitter, windows = saved
        self.first = None if begun is None else First(*begun)
        self.diagnosis = load_diagnosis(diagnosis)
        for window, values in zip(self.own, windows, strict=True):
            window.load(values)

    def evidence(self) -> dict[str, Any]:
        """What the rule names, as it is at the sample that was judged last."""
        program = self.plan.program
        found = {
            name: self.slots[index]
            for name, index in program.shown.items()
            if self.slots[index] is not NO_NUMBER and self.slots[index] != ""
        }
        values = program.values(self.slots, self.windows, self.peers)
        found.update(zip(program.names, values, strict=True))
        return {
            name: value[:TEXT_LIMIT] if isinstance(value, str) else value for name, value in found.items()
        }
