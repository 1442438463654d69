"""Whether an actor runs a command, what comes of it, and what it says about it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from emitter.signing import SignatureError, TrustedKeys, verify
from emitter.vocabulary import actions, cloudevents, commands
from emitter.vocabulary.commands import Ack, Command
from stream.actor import template
from stream.actor.template import ValueRefusedError

_TAIL: Final = 2_000
"""Characters of a program's output that go into the acknowledgement."""
_REMEMBERED: Final = 10_000


@dataclass(frozen=True)
class Task:
    """What an actor is there for. ``name`` is after ``actor:`` in its acknowledgements."""

    name: str
    actions: tuple[str, ...]
    words: tuple[str, ...]
    runs: tuple[str, ...] = ("*",)
    timeout_s: float = 300.0

    @property
    def executor(self) -> str:
        """As acknowledgements name it."""
        return f"{actions.ACTOR}:{self.name}"


class Duty:
    """Takes commands one after the other; ``say`` gets each acknowledgement before the next thing is done."""

    def __init__(
        self,
        task: Task,
        trusted: TrustedKeys,
        say: Callable[[Ack], None],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._task, self._trusted, self._say, self._now_ns = task, trusted, say, now_ns
        self._ended: dict[str, Ack] = {}
        self._begun: set[str] = set()

    def recall(self, payloads: Iterable[bytes]) -> None:
        """Take in what this actor acknowledged before it was started anew."""
        for payload in payloads:
            try:
                ack = commands.decode_ack(payload)
            except cloudevents.CloudEventError:
                continue
            if ack.executor != self._task.executor:
                continue
            if ack.state in commands.FINAL_STATES:
                self._ended[ack.command] = ack
            elif ack.state == commands.RUNNING:
                self._begun.add(ack.command)

    def take(self, payload: bytes, headers: Mapping[str, bytes]) -> Ack | None:
        """Do what one message says; the last acknowledgement, None where it was not for this actor."""
        try:
            command = commands.decode_command(payload)
        except cloudevents.CloudEventError:
            return None
        if command.action not in self._task.actions or not self._is_mine(command.run):
            return None
        if command.id in self._ended:
            self._say(self._ended[command.id])
            return self._ended[command.id]
        self._tell(command, commands.RECEIVED)
        return self._refusal(command, payload, headers) or self._run(command)

    def _is_mine(self, run: str) -> bool:
        return any(fnmatchcase(run, glob) for glob in self._task.runs)

    def _refusal(self, command: Command, payload: bytes, headers: Mapping[str, bytes]) -> Ack | None:
        try:
            verify(payload, headers, self._trusted)
        except SignatureError as error:
            return self._end(command, commands.REJECTED, error.reason, detail=error.detail)
        try:
            issued, expires = (cloudevents.parse_rfc3339(text) for text in (command.issued, command.expires))
        except ValueError as error:
            return self._end(command, commands.REJECTED, "bad_time", detail={"error": str(error)})
        now, skew = self._now_ns(), int(commands.CLOCK_SKEW_S * 1e9)
        if issued > now + skew:
            return self._end(command, commands.REJECTED, "clock_skew")
        return self._end(command, commands.EXPIRED, "expired") if expires + skew < now else None

    def _run(self, command: Command) -> Ack:
        if command.id in self._begun:
            # Whether it was done nobody knows; a second time could be once too often.
            return self._end(command, commands.FAILED, "interrupted")
        try:
            words = template.fill(self._task.words, command)
        except ValueRefusedError as error:
            return self._end(command, commands.REJECTED, error.reason, detail={"error": str(error)})
        self._begun.add(command.id)
        self._tell(command, commands.RUNNING)
        began = time.monotonic()
        state, reason, detail = _execute(words, self._task.timeout_s)
        return self._end(command, state, reason, time.monotonic() - began, detail)

    def _tell(self, command: Command, state: str, **more: Any) -> Ack:
        ack = Ack(
            command=command.id, run=command.run, state=state, time=cloudevents.rfc3339(self._now_ns()),
            attempt=command.attempt, executor=self._task.executor, **more,
        )  # fmt: skip
        self._say(ack)
        return ack

    def _end(
        self, command: Command, state: str, reason: str | None, duration: float | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> Ack:  # fmt: skip
        ack = self._tell(command, state, reason=reason, duration=duration, detail=dict(detail or {}))
        self._ended[command.id] = ack
        while len(self._ended) > _REMEMBERED:
            del self._ended[next(iter(self._ended))]
        return ack


def _execute(words: Sequence[str], timeout_s: float) -> tuple[str, str | None, dict[str, Any]]:
    """State, reason and detail of the acknowledgement."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except OSError as error:
        return commands.FAILED, f"cannot be started: {error.strerror}", {"program": words[0]}
    except subprocess.TimeoutExpired as error:
        return commands.FAILED, f"did not end within {timeout_s:g} s", {"output": _end_of(error.stdout)}
    detail = {"exit_code": done.returncode, "output": _end_of(done.stdout)}
    if done.returncode == 0:
        return commands.SUCCEEDED, None, detail
    return commands.FAILED, f"exit code {done.returncode}", detail


def _end_of(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")[-_TAIL:].strip()
