"""Telling a watcher what became of each rule at each event. An engine nobody watches runs none of this."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import verdicts
from stream.diagnose.absence import Listener
from stream.diagnose.inhibition import Held
from stream.diagnose.plans import Plan
from stream.diagnose.runs import Emitter
from stream.diagnose.series import Series
from stream.diagnose.verdicts import Fill, Outcome, Verdict, Watch
from stream.events import Event, Resource
from stream.rulelang.model import Slot
from stream.rulelang.windows import Window

_SINCE_STEP: Final = "since_step"
"""Evidence that is no value of the rule."""


class Watching:
    """Makes verdicts and hands them to ``watch``."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def tell(self, verdict: Verdict) -> None:
        """A verdict made elsewhere."""
        self._watch(verdict)

    def no_sample(self, plan: Plan, emitter: Emitter, event: Event, outcome: str, detail: str = "") -> None:
        """The event is no sample for this rule."""
        key = plan.keys.of_resource(emitter.resource)
        self._watch(Verdict(plan.rule.id, key, outcome, event.time, emitter.resource, event, detail))

    def unread(self, series: Series, emitter: Emitter, event: Event, slots: Any) -> None:
        """The event has all values but one is no number or text (``slots`` is None), or `where` fails."""
        outcome = verdicts.WHERE if slots is not None else verdicts.MISSING
        detail = "" if slots is not None else unreadable(series.plan.program.slots, event)
        self._watch(Verdict(series.rule.id, series.key, outcome, event.time, emitter.resource, event, detail))

    def look(self, series: Series, emitter: Emitter, event: Event) -> Verdict:
        """What a rule sees at a sample, before the windows learn from it."""
        specs = series.plan.program.windows
        return Verdict(
            series.rule.id, series.key, verdicts.NO_MATCH, event.time, emitter.resource, event,
            values=series.evidence(),
            windows=tuple(
                _fill(window, spec.last, spec.over_s)
                for window, spec in zip(series.windows, specs, strict=True)
            ),
        )  # fmt: skip

    def judged(self, seen: Verdict, series: Series, outcome: Outcome) -> None:
        """What came of it."""
        word, detail = outcome
        since = (seen.time - series.first.time) / 1e9 if series.first else 0.0
        self._watch(replace(seen, outcome=word, detail=detail, matches=series.matches, for_s=since))

    def closed(self, series: Series, time_ns: int, reason: str) -> None:
        """A series ended by something else than a sample."""
        self._watch(Verdict(series.rule.id, series.key, verdicts.RESOLVED, time_ns, detail=reason))

    def decided(self, held: Held, made: Diagnosis, time_ns: int, outcome: Outcome) -> None:
        """What came of a symptom that had been held, or kept quiet: ``made`` is what it would say."""
        word, detail = outcome
        who = Resource(made.run, attempt=made.attempt, rank=made.rank, node=made.node, role=made.role)
        event = Event(held.rule.on, time_ns, step=made.step, epoch=made.epoch)
        verdict = Verdict(
            held.rule.id, held.key, word, time_ns, who, event, detail,
            values={name: value for name, value in made.evidence.items() if name != _SINCE_STEP},
            matches=held.rule.for_count,
        )  # fmt: skip
        self._watch(verdict)

    def listened(self, listener: Listener, time_ns: int, outcome: Outcome) -> None:
        """What came of a rule of absence; ``for_s`` is how long its clock has run."""
        word, detail = outcome
        since = listener.since
        verdict = Verdict(
            listener.rule.id, listener.key, word, time_ns, listener.resource, listener.beat, detail,
            values=listener.evidence(),
            for_s=0.0 if since is None else (time_ns - since.time) / 1e9,
        )  # fmt: skip
        self._watch(verdict)


def _fill(window: Window, last: int | None, over_s: float | None) -> Fill:
    return Fill(int(window.count()), last, over_s)


def unreadable(slots: tuple[Slot, ...], event: Event) -> str:
    """The first field that the event does not have in a form the rule can read."""
    for slot in slots:
        value = event.values.get(slot.name) if slot.place == "value" else getattr(event, slot.name, None)
        wrong = not isinstance(value, str) if slot.kind == "text" else not isinstance(value, (int, float))
        if not slot.optional and slot.place in ("value", "event") and wrong:
            return slot.name
    return next((slot.name for slot in slots if not slot.optional), "")
