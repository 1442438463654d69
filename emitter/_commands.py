"""Commands: checked when they arrive, run at the step boundary, acknowledged at every stage.

``receive`` is called by the background thread that reads them, ``run_pending`` by ``step()``.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from emitter import _actions, signing
from emitter._clock import Clock
from emitter._guard import guard, logger
from emitter._ledger import Entry, Ledger
from emitter._ranks import Identity
from emitter._turned_away import TurnedAway
from emitter._verify import Refusal, addressed, misaddressed, refusal
from emitter.agreement import host
from emitter.agreement.coordination import is_coordinated
from emitter.signing.checking import Keys
from emitter.vocabulary import cloudevents, commands
from emitter.vocabulary.commands import Ack, Command

if TYPE_CHECKING:
    from emitter.agreement.group import Group

AckSink = Callable[[Ack], None]
Handler = Callable[[Command], Any]

IMMEDIATE: Final = frozenset({"dump_stacks", "resume"})
"""Run where they arrive: a hung loop reaches no boundary, a paused one stands at it."""

ELSEWHERE: Final = frozenset({"notify", "exclude_node"})
"""Executed by others unless a handler is registered here; neither run nor acknowledged."""


TURNED_AWAY: Final = signing.REASONS | {"other_run", "unreadable"}
"""Reasons of answers to messages that were not from whom they said, or not for us."""


class Commander:
    """Holds the commands of one session. ``arm`` is called when ``step()`` has something to do."""

    def __init__(
        self,
        identity: Identity,
        node: str,
        clock: Clock,
        actions: _actions.Actions,
        allow: tuple[str, ...] | None,
        arm: Callable[[], object],
        trusted: Keys,
    ) -> None:
        self._identity, self._node, self._clock = identity, node, clock
        self._actions, self._allow, self._arm = actions, allow, arm
        self.trusted = trusted
        self.ledger = Ledger()
        self._turned_away = TurnedAway()
        self.send: AckSink = lambda ack: None
        self.group: Group | None = None
        self.bell = threading.Condition(threading.RLock())
        self._scheduled: deque[Command] = deque()
        self._step: int | None = None
        self._closed = False
        self._started = cloudevents.rfc3339(clock.unix_ns())

    def receive(
        self,
        payload: bytes,
        position: Any = None,
        headers: Mapping[str, bytes] | None = None,
        key: bytes | None = None,
    ) -> None:
        """Take in one message of ``remediation.commands``. ``position`` tells a re-read from a resend."""
        with guard:
            run = self._identity.run
            try:
                command, subject = commands.decode_addressed(payload)
            except cloudevents.CloudEventError as error:
                self._unreadable(payload, position, key == run.encode(), str(error))
                return
            mine = command.target.includes(self._identity.rank, self._node)
            if not addressed(command, subject, key, run) or not (mine or self.group is not None):
                return
            refused = self.unbelievable(payload, headers or {}) or misaddressed(command, subject, run)
            if refused is not None:
                self._disbelieve(command.id, refused, position)
            elif self.group is not None:
                self.group.receive(command, payload, headers or {}, position)
            else:
                self._consider(command, position, payload, headers or {})

    def take(self, payload: bytes, headers: Mapping[str, bytes], position: Any) -> None:
        """A command that came by way of the leader, and needs no agreement; or one that has ended before."""
        with guard:
            command = self._decoded(payload)
            if command is None or not command.target.includes(self._identity.rank, self._node):
                return
            refused = self.unbelievable(payload, headers)
            if refused is not None:
                self._disbelieve(command.id, refused, position)
            elif self.ledger.find(command.id) is not None or not is_coordinated(command.action):
                self._consider(command, position, payload, headers)

    def ended(self, command: str) -> bool:
        """Whether there is nothing to agree on any more: it runs, or has ended otherwise than by an abort."""
        known = self.ledger.find(command)
        return known is not None and (known.outcome is None or known.outcome.state != commands.ABORTED)

    def unbelievable(self, payload: bytes, headers: Mapping[str, bytes]) -> Refusal | None:
        """Why these bytes are not those of somebody who is trusted here."""
        try:
            signing.verify(payload, headers, self.trusted)
        except signing.SignatureError as error:
            return Refusal(commands.REJECTED, error.reason, error.detail)
        return None

    def _unreadable(self, payload: bytes, position: Any, ours: bool, error: str) -> None:
        logger.warning("ignoring a message on remediation.commands: %s", error)
        if ours:
            name = hashlib.blake2b(payload, digest_size=16).hexdigest()
            refused = Refusal(commands.REJECTED, "unreadable", {"error": error})
            self._disbelieve(name, refused, position)

    def _disbelieve(self, name: str, why: Refusal, position: Any) -> None:
        """Answered, but not remembered as that command: the true one may still come."""
        if self._turned_away.first(position):
            logger.warning("command %s is not believed: %s", name, why.detail.get("error", why.reason))
            self.send(self._answer(name, why.state, reason=why.reason, detail=why.detail))

    def turn_away(self, payload: bytes, headers: Mapping[str, bytes], reason: str) -> None:
        """A command that ranks cannot agree on."""
        mine, _ = self.consider(payload, headers)
        if mine is not None:
            self.finish(mine, commands.ABORTED, reason=reason)

    def consider(self, payload: bytes, headers: Mapping[str, bytes]) -> tuple[Command | None, str]:
        """A command for all ranks: itself if it is meant for this one and may be run, and why it may not."""
        command = self._decoded(payload)
        if command is None:
            return None, "unreadable"
        refused = self.unbelievable(payload, headers)
        if refused is not None:
            self._disbelieve(command.id, refused, None)
            return None, refused.reason
        mine = command.target.includes(self._identity.rank, self._node)
        if mine:
            self.ledger.reopen(command.id, "agreement")
            self._ack(command, commands.RECEIVED)
        refused = self._refusal(command, payload, headers, mine=mine)
        if refused is None:
            if mine:
                self._ack(command, commands.SCHEDULED)
            return (command if mine else None), ""
        if mine:
            self._refuse(command, refused)
        return None, refused.reason

    def run_agreed(self, command: Command) -> None:
        """All ranks run it now: what could be wrong with it was asked before they agreed."""
        self._run(command)

    def _decoded(self, payload: bytes) -> Command | None:
        try:
            return commands.decode_command(payload)
        except cloudevents.CloudEventError as error:
            logger.warning("ignoring a message on remediation.commands: %s", error)
            return None

    def _refusal(
        self, command: Command, payload: bytes, headers: Mapping[str, bytes], *, mine: bool = True
    ) -> Refusal | None:
        """Why the command is not run here; a rank that it is not meant for needs no handler."""
        known = self._actions.known() if mine else {command.action}
        allow = self._allow if mine else None
        refused = refusal(command, self._identity, self._clock.unix_ns(), allow, known)
        return refused or (self._actions.objection(command) if mine else None)

    def _consider(
        self, command: Command, position: Any, payload: bytes, headers: Mapping[str, bytes]
    ) -> None:
        if command.action in ELSEWHERE and command.action not in self._actions.handlers:
            return
        known = self.ledger.open(command.id, position)
        if known is not None and not self._again(command, known, position):
            return
        self._ack(command, commands.RECEIVED)
        refused = self._refusal(command, payload, headers) or self._not_agreed(command)
        if refused is not None:
            self._refuse(command, refused)
        elif command.action in IMMEDIATE and command.action not in self._actions.handlers:
            self._run(command)
        else:
            self._schedule(command)

    def _not_agreed(self, command: Command) -> Refusal | None:
        """One rank of several does not act alone on what all have to do at the same step."""
        size = max(self._identity.world_size, host.group_size())
        if size == 1 or not is_coordinated(command.action):
            return None
        return Refusal(commands.REJECTED, "ranks_not_agreed", {"world_size": size})

    def _again(self, command: Command, known: Entry, position: Any) -> bool:
        """Whether to take it for new: the resend of an aborted command. Else it is answered, once.

        The same message read again after a reconnect was answered already; a resend was not.
        """
        recalled, same = known.position is None, known.position == position
        known.position = position
        if recalled and known.outcome is None:
            self.finish(command, commands.FAILED, reason="interrupted")
        elif known.outcome is not None and not recalled and not same:
            if known.outcome.state == commands.ABORTED:
                self.ledger.reopen(command.id, position)
                return True
            self.send(known.outcome)
        return False

    def recall(self, ack: Ack) -> None:
        """Take in what a process with the same run, attempt and rank acknowledged before this one."""
        if ack.attempt != self._identity.attempt or ack.time > self._started:
            return
        if ack.reason in TURNED_AWAY:
            return
        if ack.state in commands.FINAL_STATES:
            self.ledger.end(ack)
        elif ack.state == commands.RUNNING:
            self.ledger.open(ack.command, None)

    def _schedule(self, command: Command) -> None:
        self._ack(command, commands.SCHEDULED)
        with self.bell:
            self._scheduled.append(command)
            self._arm()
            self.bell.notify_all()

    def waiting(self) -> bool:
        """Whether a command waits for the boundary."""
        return bool(self._scheduled) or (self.group is not None and self.group.due())

    def withdraw(self, action: str, reason: str) -> int:
        """Abort scheduled commands of this action; how many there were."""
        with self.bell:
            found = [command for command in self._scheduled if command.action == action]
            for command in found:
                self._scheduled.remove(command)
        for command in found:
            self.finish(command, commands.ABORTED, reason=reason)
        return len(found)

    def boundary(self, step: int | None) -> None:
        """What ``step()`` does when armed. Raises Stop, Restart and what handlers raise beyond Exception."""
        self._step = step
        self._actions.settle()
        self.run_pending()

    def run_pending(self) -> None:
        """Run what waits, in order of arrival."""
        while self._scheduled and not self._closed:
            command = self._scheduled.popleft()
            late = refusal(command, self._identity, self._clock.unix_ns(), self._allow, self._actions.known())
            if late is not None:
                self._refuse(command, late)
            else:
                self._run(command)
        if self.group is not None:
            self.group.boundary()

    def _run(self, command: Command) -> None:
        started = self._clock.monotonic_ns()
        self._ack(command, commands.RUNNING)
        try:
            detail = self._actions.perform(command, started)
        except Exception as error:  # noqa: BLE001 - a handler's failure is an answer, not ours to raise
            logger.warning(
                "command %s (%s) failed: %s: %s", command.id, command.action, type(error).__name__, error
            )
            self.finish(command, commands.FAILED, started, reason=_describe(error))
        except SystemExit as error:
            self.finish(command, commands.SUCCEEDED, started, detail={"raised": type(error).__name__})
            raise
        except BaseException as error:
            self.finish(command, commands.ABORTED, started, reason=_describe(error))
            raise
        else:
            if detail is not None:
                self.finish(command, commands.SUCCEEDED, started, detail=detail)

    def _refuse(self, command: Command, why: Refusal) -> None:
        logger.info("command %s (%s) refused: %s", command.id, command.action, why.reason)
        self.finish(command, why.state, reason=why.reason, detail=why.detail)

    def finish(
        self,
        command: Command,
        state: str,
        started_ns: int | None = None,
        *,
        reason: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Acknowledge the end of a command, once."""
        duration = None if started_ns is None else (self._clock.monotonic_ns() - started_ns) * 1e-9
        ack = self._make(command, state, reason=reason, duration=duration, detail=dict(detail or {}))
        if self.ledger.end(ack):
            self.send(ack)

    def close(self) -> None:
        """What did not run, and what was not proven, is aborted."""
        self._closed = True
        with guard:
            if self.group is not None:
                self.group.leave()
            self._actions.abandon()
            while self._scheduled:
                self.finish(self._scheduled.popleft(), commands.ABORTED, reason="ended")

    def _ack(self, command: Command, state: str) -> None:
        self.send(self._make(command, state))

    def _make(self, command: Command, state: str, **more: Any) -> Ack:
        return self._answer(command.id, state, **more)

    def _answer(self, name: str, state: str, **more: Any) -> Ack:
        me = self._identity
        return Ack(
            command=name, run=me.run, state=state, time=cloudevents.rfc3339(self._clock.unix_ns()),
            attempt=me.attempt, rank=me.rank, step=self._step, **more,
        )  # fmt: skip


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
