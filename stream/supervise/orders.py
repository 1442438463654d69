"""Commands to the supervisor: checked as the emitter checks them, handed to the loop that executes them.

What an emitter can do itself is left to it while it answers; see ``supervisor`` for when it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from emitter._clock import Clock
from emitter._guard import guard, logger
from emitter._ledger import Ledger
from emitter._ranks import Identity
from emitter._turned_away import TurnedAway
from emitter._verify import Refusal, addressed, misaddressed, refusal
from emitter.signing import SignatureError, verify
from emitter.signing.checking import Keys
from emitter.vocabulary import actions, cloudevents, commands
from emitter.vocabulary.commands import Ack, Command

ACTIONS: Final = frozenset(
    name for name, action in actions.TABLE.items() if actions.SUPERVISOR in action.executors
)


class Orders:
    """The face of a Commander for the link to Kafka. ``asked`` gets what may be executed, from its thread."""

    def __init__(
        self,
        identity: Identity,
        node: str,
        trusted: Keys,
        allow: Callable[[], Collection[str] | None],
        asked: Callable[[Command], None],
    ) -> None:
        self.identity, self._node, self._trusted = identity, node, trusted
        self._allow, self._asked = allow, asked
        self._clock = Clock()
        self._ledger, self._turned_away = Ledger(), TurnedAway()
        self.ranks: list[int] = []
        """The local ranks that it speaks for."""
        self.send: Callable[[Ack], None] = lambda ack: None
        self._started = cloudevents.rfc3339(self._clock.unix_ns())

    def receive(
        self,
        payload: bytes,
        position: Any = None,
        headers: Mapping[str, bytes] | None = None,
        key: bytes | None = None,
    ) -> None:
        """Take in one message of ``remediation.commands``."""
        with guard:
            try:
                command, subject = commands.decode_addressed(payload)
            except cloudevents.CloudEventError as error:
                logger.warning("ignoring a message on remediation.commands: %s", error)
                return
            if command.action not in ACTIONS or not self._meant(command):
                return
            if not addressed(command, subject, key, self.identity.run):
                return
            refused = self._unbelievable(payload, headers or {})
            refused = refused or misaddressed(command, subject, self.identity.run)
            if refused is None:
                self._consider(command, position)
            elif self._turned_away.first(position):
                # Not remembered as that command: the true one may still come.
                self.send(self._make(command, refused.state, refused.reason, refused.detail))

    def recall(self, ack: Ack) -> None:
        """Take in what a supervisor of the same run and attempt acknowledged before this one."""
        if ack.executor != actions.SUPERVISOR or ack.time > self._started:
            return
        if ack.attempt == self.identity.attempt and ack.state in commands.FINAL_STATES:
            self._ledger.end(ack)

    def late(self, command: Command) -> bool:
        """Whether it must not be executed any more; says so, then."""
        refused = self._refusal(command)
        if refused is not None:
            self.finish(command, refused.state, refused.reason, refused.detail)
        return refused is not None

    def running(self, command: Command) -> None:
        """Say that it is being executed."""
        self.send(self._make(command, commands.RUNNING, None, {}))

    def finish(
        self, command: Command, state: str, reason: str | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Acknowledge the end of a command, once."""
        ack = self._make(command, state, reason, detail or {})
        if self._ledger.end(ack):
            self.send(ack)

    def _consider(self, command: Command, position: Any) -> None:
        known = self._ledger.open(command.id, position)
        if known is not None and known.outcome is not None:
            if known.position not in (None, position):
                self.send(known.outcome)
            known.position = position
        elif not self.late(command):
            self._asked(command)

    def _unbelievable(self, payload: bytes, headers: Mapping[str, bytes]) -> Refusal | None:
        try:
            verify(payload, headers, self._trusted)
        except SignatureError as error:
            return Refusal(commands.REJECTED, error.reason, error.detail)
        return None

    def _refusal(self, command: Command) -> Refusal | None:
        return refusal(command, self.identity, self._clock.unix_ns(), self._allow(), ACTIONS)

    def _meant(self, command: Command) -> bool:
        ranks = self.ranks or [self.identity.rank]
        return any(command.target.includes(rank, self._node) for rank in ranks)

    def _make(self, command: Command, state: str, reason: str | None, detail: Mapping[str, Any]) -> Ack:
        return Ack(
            command=command.id, run=command.run, state=state, attempt=self.identity.attempt, rank=None,
            time=cloudevents.rfc3339(self._clock.unix_ns()), executor=actions.SUPERVISOR, reason=reason,
            detail={"ranks": self.ranks, "node": self._node, **detail},
        )  # fmt: skip
