"""Why the trainer ended: one word and a sentence, from everything that was seen. Pure."""

from __future__ import annotations

import os
import re
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from emitter._exits import RESTART_EXIT_CODE
from emitter.vocabulary import events
from emitter.vocabulary.supervision import Pulse

FINISHED: Final = "finished"
EXCEPTION: Final = "exception"
FAILED: Final = "failed"
SIGNAL: Final = "signal"
OOM_KILLED: Final = "oom_killed"
KILLED: Final = "killed"
HUNG: Final = "hung"
PREEMPTED: Final = "preempted"
STOPPED: Final = "stopped"
RESTART: Final = "restart"
CAUSES: Final = (
    FINISHED, EXCEPTION, FAILED, SIGNAL, OOM_KILLED, KILLED, HUNG, PREEMPTED, STOPPED, RESTART,
)  # fmt: skip

OUTSIDE: Final = "outside"
"""We were told to end by a signal."""
LINES_KEPT: Final = 50
TRACE_LIMIT: Final = 16384

_BEGIN: Final = "Traceback (most recent call last):"
_EXCEPTION: Final = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_PREFIX: Final = re.compile(r"^(?:\[[^\]]*\]:? ?|\w+: )*")


class Part(NamedTuple):
    """What a line is of a traceback; ``text`` is without what stands before each of its lines."""

    text: str
    inside: bool = False
    first: bool = False
    last: bool = False


class Tail:
    """The last lines of the output, and the last traceback among them, line by line."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.trace: str | None = None
        self.exception: tuple[str, str] | None = None
        self._open: list[str] | None = None
        self._prefix = ""

    def take(self, line: str) -> Part:
        """The next line."""
        self.lines.append(line)
        at = line.find(_BEGIN)
        if at >= 0:
            self._open, self._prefix = [_BEGIN], line[:at]
            return Part(_BEGIN, inside=True, first=True)
        text = line.removeprefix(self._prefix)
        if self._open is None or not line.startswith(self._prefix):
            return Part(text)
        if sum(map(len, self._open)) < TRACE_LIMIT:
            self._open.append(text)
        found = None if text.startswith(" ") else _EXCEPTION.match(text)
        if found is not None:
            self.trace, self._open = "\n".join(self._open), None
            self.exception = found["type"], found["message"] or ""
        return Part(text, inside=True, last=found is not None)


@dataclass(frozen=True)
class Seen:
    """What is known when the trainer has ended.

    ``status`` as of waitpid(2), None where it is lost. ``ours``: why we killed it. ``outside``: the signals
    that we were sent and passed on. ``oom_kills``: how many the control group counted meanwhile;
    ``kernel``: what the kernel's log says of it.
    """

    status: int | None
    pulses: Sequence[Pulse] = ()
    ours: str | None = None
    outside: Sequence[int] = ()
    oom_kills: float = 0
    kernel: str | None = None
    exception: tuple[str, str] | None = None
    trace: str | None = None


@dataclass(frozen=True)
class Ending:
    """``code`` is what we exit with when there is no other start: 128 + n for signals."""

    cause: str
    reason: str
    code: int
    number: int | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """As it goes into a lifecycle record."""
        found = {
            events.EXIT_CAUSE: self.cause,
            events.EXIT_CODE: self.code,
            events.SUPERVISOR_REASON: self.reason,
        }
        if self.number is not None:
            found[events.EXIT_SIGNAL] = self.number
        return {**found, **self.about}


def classify(seen: Seen) -> Ending:
    """The first that holds: asked for, told from outside, our own doing, the kernel, the trainer itself."""
    code, number = _code(seen.status)
    restart = _asked(seen, code)
    if restart is not None:
        return Ending(RESTART, restart, RESTART_EXIT_CODE)
    if code == 0 and number is None:
        return Ending(FINISHED, "the trainer finished", 0)
    how = _how(code, number)
    if seen.outside:
        names = ", ".join(signal.Signals(one).name for one in dict.fromkeys(seen.outside))
        return Ending(PREEMPTED, f"{how}, after {names} came from outside", code, number)
    if seen.ours is not None:
        return Ending(HUNG, seen.ours, code, number)
    about = _exception(seen)
    if (number == signal.SIGKILL or code == 128 + signal.SIGKILL or not about) and _oom(seen):
        return Ending(OOM_KILLED, f"{how}: {_oom(seen)}", code, number)
    if number is not None:
        cause = KILLED if number == signal.SIGKILL else SIGNAL
        return Ending(cause, f"{how}{_nobody(number)}", code, number)
    said = _said(about)
    if dead := _dead_first(seen):
        rest = f"; then {said}" if said else ""
        return Ending(KILLED, f"{how}: rank {', '.join(map(str, dead))} ended without a word{rest}", code)
    if about:
        return Ending(EXCEPTION, f"{how}: {said}", code, None, about)
    return Ending(FAILED, how, code)


def _said(about: dict[str, Any]) -> str:
    words = (about.get(events.EXCEPTION_TYPE), about.get(events.EXCEPTION_MESSAGE))
    return ": ".join(str(word) for word in words if word)


def _dead_first(seen: Seen) -> list[int]:
    """Of several ranks those that were killed before any other failed: what the others say is an echo.

    A rank that its launcher killed because another one failed goes on giving signs of life until then.
    """
    failed = [
        pulse.monotonic_ns for pulse in seen.pulses if pulse.ended and events.EXCEPTION_TYPE in pulse.ended
    ]
    dead = [pulse for pulse in seen.pulses if pulse.ended is None] if len(seen.pulses) > 1 else []
    return [pulse.rank for pulse in dead if not failed or pulse.monotonic_ns < min(failed)]


def _code(status: int | None) -> tuple[int, int | None]:
    """The exit code and the signal, if it was one."""
    if status is None:
        return 128 + signal.SIGKILL, int(signal.SIGKILL)
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status), os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def _asked(seen: Seen, code: int) -> str | None:
    """A launcher such as torchrun exits with a code of its own when a rank exits with ours."""
    asked = [pulse for pulse in seen.pulses if (pulse.ended or {}).get(events.EXIT_CODE) == RESTART_EXIT_CODE]
    if not asked and code != RESTART_EXIT_CODE:
        return None
    action = next((str(pulse.asked["action"]) for pulse in asked if pulse.asked), "restart")
    return f"a {action} was asked for"


def _how(code: int, number: int | None) -> str:
    if number is None:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(number).name}"
    except ValueError:
        return f"signal {number}"


def _nobody(number: int) -> str:
    return "; neither we nor the kernel's memory killer sent it" if number == signal.SIGKILL else ""


def _oom(seen: Seen) -> str | None:
    if seen.kernel:
        return seen.kernel
    return "the control group ran out of memory" if seen.oom_kills > 0 else None


def _exception(seen: Seen) -> dict[str, Any]:
    """What a rank said itself is better than what was read from the output."""
    names = (events.EXCEPTION_TYPE, events.EXCEPTION_MESSAGE, events.EXCEPTION_STACKTRACE)
    for pulse in sorted(seen.pulses, key=lambda one: one.monotonic_ns):
        if pulse.ended and events.EXCEPTION_TYPE in pulse.ended:
            return {name: pulse.ended.get(name, "") for name in names}
    if seen.exception is None:
        return {}
    return dict(zip(names, (*seen.exception, seen.trace or ""), strict=True))
