"""One rule over one series: its windows, and whether it is quiet, matching or firing."""

from __future__ import annotations

from typing import Any, Final

from stream.diagnose.reading import NO_NUMBER, Groups, Read
from stream.events import Event, Resource
from stream.rulelang.model import Program, Rule
from stream.rulelang.windows import Window

TEXT_LIMIT: Final = 500
"""Characters of one text in the evidence."""


class Plan:
    """A rule made ready for the engine: what does not change from series to series."""

    __slots__ = ("for_ns", "keep_ns", "program", "read", "rule", "timed")

    def __init__(self, rule: Rule, program: Program, read: Read) -> None:
        self.rule = rule
        self.program = program
        self.read = read
        self.for_ns = int(rule.for_s * 1e9)
        self.keep_ns = int(rule.keep_firing_s * 1e9)
        self.timed = any(spec.over_s is not None for spec in program.windows)


class First:
    """The first sample of a matching stretch: it names the diagnosis."""

    __slots__ = ("seq", "step", "time")

    def __init__(self, event: Event) -> None:
        self.seq = event.seq
        self.step = event.step
        self.time = event.time


class Series:
    """State of one rule for one series key. ``first`` is set while samples match or the rule fires."""

    __slots__ = (
        "diagnosis", "first", "key", "last_match", "matches", "pairs", "plan", "slots", "windows",
    )  # fmt: skip

    def __init__(self, plan: Plan, key: tuple[Any, ...]) -> None:
        self.plan = plan
        self.key = key
        specs = plan.program.windows
        self.windows = [Window(spec) for spec in specs]
        self.pairs = [(window, spec.source) for window, spec in zip(self.windows, specs, strict=True)]
        self.first: First | None = None
        self.matches = 0
        self.last_match = 0
        self.slots: list[Any] = []
        self.diagnosis: Any = None

    @property
    def firing(self) -> bool:
        """Whether a firing diagnosis is open."""
        return self.diagnosis is not None

    def judge(self, event: Event, resource: Resource, groups: Groups) -> bool | None:
        """Whether this record matches; None where it is no sample. Remembers what was seen."""
        plan = self.plan
        slots = plan.read(event, resource, groups)
        if slots is None:
            return None
        program = plan.program
        if program.where is not None and not program.where(slots):
            return None
        if plan.timed:
            for window in self.windows:
                window.expire(event.time)
        self.slots = slots
        if program.clear is not None and self.diagnosis is not None:
            return not program.clear(slots, self.windows, ())
        return program.when(slots, self.windows, ())

    def evidence(self) -> dict[str, Any]:
        """What the rule names, as it is at the sample that was judged last."""
        program = self.plan.program
        found = {
            name: self.slots[index]
            for name, index in program.shown.items()
            if self.slots[index] is not NO_NUMBER and self.slots[index] != ""
        }
        found.update(zip(program.names, program.values(self.slots, self.windows, ()), strict=True))
        return {
            name: value[:TEXT_LIMIT] if isinstance(value, str) else value for name, value in found.items()
        }

    def matched(self, event: Event) -> bool:
        """Count a matching sample; True when the rule's persistence is reached."""
        if self.first is None:
            self.first = First(event)
        self.matches += 1
        self.last_match = event.time
        rule = self.plan.rule
        return self.matches >= rule.for_count and event.time - self.first.time >= self.plan.for_ns

    def calm(self, event: Event) -> bool:
        """Count a sample that does not match; True when an open diagnosis ends with it."""
        if self.diagnosis is None:
            self.reset()
            self._learn(event.time)
            return False
        keep_ns = self.plan.keep_ns
        return not keep_ns or event.time - self.last_match >= keep_ns

    def ended(self, event: Event) -> None:
        """The diagnosis was closed by this calm sample: learn from samples again."""
        self.reset()
        self._learn(event.time)

    def reset(self) -> None:
        """Forget the matching stretch."""
        self.first = None
        self.matches = 0
        self.diagnosis = None

    def _learn(self, time_ns: int) -> None:
        slots = self.slots
        for window, source in self.pairs:
            window.push(time_ns, source(slots, self.windows))
