"""The words of one attempt: records over OTLP, and lines for people on stderr."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from emitter._ranks import Identity
from emitter._records import ERROR, WARNING
from emitter._settings import Settings
from emitter.probes.console import IOSTREAM
from emitter.probes.lines import Outlet, severity
from emitter.vocabulary import events
from emitter.vocabulary.supervision import SUPERVISOR_ROLE, Pulse
from stream.supervise.clusters import Stack, text
from stream.supervise.ending import FINISHED, Ending, Tail
from stream.supervise.speaker import Speaker
from stream.supervise.tracebacks import Reported, Tracebacks

STACK_LIMIT: Final = 32000
CLOSE_S: Final = 5.0
_LOGGER: Final = {"logger.name": "trainwarden.supervisor"}


class Teller:
    """Speaks for one attempt; ``heard`` takes the trainer's lines from the threads that read them."""

    def __init__(self, settings: Settings, identity: Identity, lines_per_s: int, folder: Path) -> None:
        self._settings, self._identity = settings, identity
        self._speaker = Speaker(settings, identity)
        self._outlets = {name: Outlet(self._line, name, lines_per_s) for name in ("stdout", "stderr")}
        self.tails = {name: Tail() for name in self._outlets}
        reported = Reported(folder)
        self._tracebacks = {name: Tracebacks(reported) for name in self._outlets}
        self.step: int | None = None

    def heard(self, name: str, line: str) -> None:
        """One line of the trainer's output."""
        part = self.tails[name].take(line)
        self._send(name, self._tracebacks[name].take(line, part))
        self._outlets[name].tell()

    def say(
        self, state: str, sentence: str, about: Mapping[str, Any] | None = None, *, bad: bool = False
    ) -> None:
        """A lifecycle record, the same as a line of the log, and to people."""
        values = {events.SUPERVISOR_REASON: sentence, **(about or {})}
        self._speaker.lifecycle(state, self.step, **values)
        self._speaker.line(sentence, ERROR if bad else WARNING, _LOGGER, self.step)
        tell(sentence)

    def note(self, state: str, about: Mapping[str, Any]) -> None:
        """A lifecycle record alone."""
        self._speaker.lifecycle(state, self.step, **about)

    def stacks(self, stacks: Sequence[Stack], reason: str, about: Mapping[str, Any]) -> None:
        """One ``train.stack`` for each process, under its rank."""
        for rank in dict.fromkeys(stack.rank for stack in stacks):
            speaker = self._speaker if rank is None else self._about(rank, SUPERVISOR_ROLE)
            for stack in (one for one in stacks if one.rank == rank):
                speaker.stack(
                    text(stack)[:STACK_LIMIT], self.step,
                    **{events.STACK_REASON: reason, "process.pid": stack.pid, **about},
                )  # fmt: skip
            if speaker is not self._speaker:
                speaker.close(CLOSE_S)

    def last_words(self, pulses: Sequence[Pulse], ending: Ending, trainer: int | None) -> None:
        """In the place of ranks that ended without one: they cannot say it any more."""
        for pulse in pulses:
            if pulse.ended is not None:
                continue
            values: dict[str, Any] = {events.EXIT_CAUSE: ending.cause}
            state = events.FINISHED if ending.cause == FINISHED else events.KILLED
            if pulse.pid == trainer:
                number = ending.number
                values[events.EXIT_SIGNAL if number else events.EXIT_CODE] = number or ending.code
                state = state if number or not ending.code else events.FAILED
            speaker = self._about(pulse.rank, pulse.role, pulse.world_size)
            speaker.lifecycle(state, pulse.step, **values)
            speaker.close(CLOSE_S)

    def close(self) -> None:
        """In the background: the next attempt need not wait for an endpoint that is away."""
        for name, outlet in self._outlets.items():
            self._send(name, self._tracebacks[name].rest())
            outlet.tell(now=True)
        thread = threading.Thread(target=self._speaker.close, args=(CLOSE_S,), name="trainwarden-last-words")
        thread.start()

    def _about(self, rank: int, role: str, world_size: int = 1) -> Speaker:
        return Speaker(self._settings, replace(self._identity, world_size=world_size), rank=rank, role=role)

    def _send(self, name: str, lines: list[str]) -> None:
        for line in lines:
            self._outlets[name].send(line, severity(line), {IOSTREAM: name})

    def _line(self, body: str, level: int, about: Mapping[str, Any]) -> None:
        self._speaker.line(body, level, about, self.step)


def tell(sentence: str) -> None:
    """To people."""
    print(f"trainwarden run: {sentence}", file=sys.stderr, flush=True)  # noqa: T201
