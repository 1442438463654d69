"""Publishing: the one place where diagnoses fire and resolve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose import transitions, verdicts
from stream.diagnose.counts import Counts
from stream.diagnose.crossings import Crossings
from stream.diagnose.deciding import Decider, Desert, Echo
from stream.diagnose.inhibition import Symptom
from stream.diagnose.runs import Run
from stream.diagnose.verdicts import Outcome
from stream.diagnose.watching import Watching
from stream.events import Event

NO_VALUES: Final[Mapping[str, Any]] = {}


class Publisher:
    """``echo`` and ``desert`` are the decider's."""

    def __init__(
        self, crossings: Crossings, counts: Counts, echo: Echo, desert: Desert,
        watching: Watching | None = None,
    ) -> None:  # fmt: skip
        self.decider = Decider(crossings, counts, echo, desert, watching)

    def fire(
        self, run: Run, speaker: Symptom, time_ns: int, make: Callable[[], Diagnosis], out: list[Diagnosis]
    ) -> Outcome:
        """Say that this fires at this time; asked again at each sample that still matches, until it is said.

        Gives the outcome and its detail (see verdicts). A rule with causes leaves it to the decider, and so
        does an absence that other ranks may excuse.
        """
        if speaker.rule.inhibited_by or speaker.rule.excusable:
            return self.decider.ask(run, speaker, time_ns, make, out)
        speaker.diagnosis = made = make()
        self._say(run, speaker, made, time_ns, out)
        return verdicts.FIRING, ""

    def resolve(
        self,
        run: Run,
        speaker: Symptom,
        time_ns: int,
        reason: str,
        out: list[Diagnosis],
        event: Event | None = None,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        """What fired, or was kept quiet, ends at this time."""
        open_one = speaker.diagnosis
        if speaker.held is not None:
            self.decider.close(run, speaker, time_ns, reason, event, values, out)
        elif open_one is not None:
            speaker.diagnosis = None
            made = transitions.resolved(open_one, time_ns, reason, event, values)
            self._say(run, speaker, made, time_ns, out)

    def retire(self, run: Run, open_one: Diagnosis, time_ns: int, out: list[Diagnosis]) -> None:
        """A diagnosis whose rule is gone, or another one now, ends."""
        made = transitions.resolved(open_one, time_ns, transitions.RELOADED, None, NO_VALUES)
        out.append(made)
        self.decider.said(run, open_one.rule, (), made, time_ns, out)

    def _say(self, run: Run, speaker: Symptom, made: Diagnosis, time_ns: int, out: list[Diagnosis]) -> None:
        out.append(made)
        self.decider.said(run, speaker.rule.id, speaker.key, made, time_ns, out)
