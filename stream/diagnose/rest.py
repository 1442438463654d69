"""What an event brings about besides the judgement of samples: who is here, absences, decisions."""

from __future__ import annotations

from collections.abc import Sequence

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.clock import Reading
from stream.diagnose.crossing import Crossing
from stream.diagnose.listening import Listening
from stream.diagnose.runs import Emitter, Run
from stream.events import Event


class Rest:
    """Of the events of one stretch: they have one name, and none of them ends the emitter."""

    def __init__(
        self, run: Run, emitter: Emitter, crossing: Crossing, listening: Listening, reading: Reading,
        out: list[Diagnosis],
    ) -> None:  # fmt: skip
        self._run = run
        self._emitter = emitter
        self._crossing = crossing
        self._listening = listening
        self._reading = reading
        self._out = out

    def before(self, event: Event) -> None:
        """An event is about to be judged."""
        if self._crossing.needed:
            self._crossing.hear(self._run, self._emitter, event, self._reading, self._out)

    def after(self, event: Event) -> None:
        """An event was judged."""
        if event.name in self._listening.names:
            self._listening.hear(self._run, self._emitter, event, self._out)
        if self._crossing.needed:
            self._crossing.heard(self._run, self._out)

    def calm(self, events: Sequence[Event]) -> bool:
        """Events of which no rule says anything; False, and nothing done, where each has to be told alone."""
        if self._crossing.needed and not self._crossing.at_rest(self._run, self._emitter):
            return False
        if events[0].name in self._listening.names:
            return self._listening.hear_calm(self._run, self._emitter, events)
        return True
