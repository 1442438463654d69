"""Publishing: the one place where diagnoses fire and resolve, and where a cause keeps its symptoms quiet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import transitions, verdicts
from stream.diagnose.runs import Run
from stream.diagnose.verdicts import Outcome
from stream.events import Event
from stream.rulelang.model import Rule

Echo = Callable[[Run, Diagnosis, int, list[Diagnosis]], None]

NO_VALUES: Final[Mapping[str, Any]] = {}


class Speaker(Protocol):
    """What a diagnosis is about: a series or a listener. ``diagnosis`` is what was said and is still open."""

    diagnosis: Diagnosis | None

    @property
    def rule(self) -> Rule:
        """Its rule."""


class Publisher:
    """``echo`` hears each transition said by a rule that is not itself on diagnoses."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo

    def fire(
        self, run: Run, speaker: Speaker, time_ns: int, make: Callable[[], Diagnosis], out: list[Diagnosis]
    ) -> Outcome:
        """Say that this fires at this time, if no cause does; asked again at each sample that still matches.

        Gives the outcome and its detail (see verdicts). ``make`` is called only where it is said.
        """
        rule = speaker.rule
        cause = run.cause(rule.inhibited_by)
        if cause is not None:
            return verdicts.INHIBITED, cause
        speaker.diagnosis = made = make()
        run.opened(rule.id)
        self._say(run, rule, made, time_ns, out)
        return verdicts.FIRING, ""

    def resolve(
        self,
        run: Run,
        speaker: Speaker,
        time_ns: int,
        reason: str,
        out: list[Diagnosis],
        event: Event | None = None,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        """What fired, or was kept quiet, ends at this time."""
        open_one = speaker.diagnosis
        if open_one is None:
            return
        speaker.diagnosis = None
        run.closed(speaker.rule.id)
        made = transitions.resolved(open_one, time_ns, reason, event, values)
        self._say(run, speaker.rule, made, time_ns, out)

    def retire(self, run: Run, open_one: Diagnosis, time_ns: int, out: list[Diagnosis]) -> None:
        """A diagnosis whose rule is gone, or another one now, ends."""
        made = transitions.resolved(open_one, time_ns, transitions.RELOADED, None, NO_VALUES)
        out.append(made)
        self._echo(run, made, time_ns, out)

    def _say(self, run: Run, rule: Rule, made: Diagnosis, time_ns: int, out: list[Diagnosis]) -> None:
        out.append(made)
        self._echo(run, made, time_ns, out)
