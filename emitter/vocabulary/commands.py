"""Commands to trainers and their acknowledgements, as they travel on ``remediation.*``."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from emitter.vocabulary import actions, cloudevents

ACTIONS: Final = tuple(actions.TABLE)
DESTRUCTIVE: Final = frozenset(name for name, action in actions.TABLE.items() if action.destructive)

RECEIVED: Final = "received"
REJECTED: Final = "rejected"
SCHEDULED: Final = "scheduled"
RUNNING: Final = "running"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
ABORTED: Final = "aborted"
EXPIRED: Final = "expired"
ACK_STATES: Final = (RECEIVED, REJECTED, SCHEDULED, RUNNING, SUCCEEDED, FAILED, ABORTED, EXPIRED)
FINAL_STATES: Final = frozenset({REJECTED, SUCCEEDED, FAILED, ABORTED, EXPIRED})

LARGEST_BYTES: Final = 64 * 1024
"""A command is an instruction, not a file."""

CLOCK_SKEW_S: Final = 300.0
"""Expiry tolerates this much difference between the clocks of sender and trainer."""


def command_id(run: str, incident: str, action: str, position: int) -> str:
    """The same decision is the same command, however often it is replayed."""
    text = "\x1f".join((run, incident, action, str(position)))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Target:
    """Who is meant: ``ranks`` is ``"all"`` or a list of ranks; ``node`` a host name or None."""

    ranks: str | list[int] = "all"
    node: str | None = None

    def includes(self, rank: int | None, node: str | None) -> bool:
        """Whether this rank on this host is meant; a trainer without ranks counts as rank 0."""
        if self.node is not None and self.node != node:
            return False
        return self.ranks == "all" or (rank or 0) in self.ranks


@dataclass(frozen=True)
class Reason:
    """Why the command was issued: diagnosis id, rule id, and a sentence."""

    diagnosis: str | None = None
    rule: str | None = None
    summary: str | None = None


@dataclass(frozen=True)
class Command:
    """One instruction to the ranks of one attempt of one run. ``issued``/``expires`` are RFC 3339."""

    id: str
    run: str
    action: str
    issued: str
    expires: str
    attempt: int = 0
    args: dict[str, Any] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    reason: Reason = field(default_factory=Reason)

    def to_json(self) -> dict[str, Any]:
        """The ``data`` object of DESIGN 9."""
        data: dict[str, Any] = cloudevents.finite(asdict(self))
        return data

    def encode(self) -> bytes:
        """The CloudEvent; its id is the command id."""
        return cloudevents.encode(cloudevents.COMMAND, self.id, self.run, self.issued, self.to_json())


@dataclass(frozen=True)
class Ack:
    """What became of a command on one rank. ``duration`` is in seconds; ``time`` RFC 3339."""

    command: str
    run: str
    state: str
    time: str
    attempt: int = 0
    rank: int | None = None
    executor: str = "emitter"
    reason: str | None = None
    step: int | None = None
    duration: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The ``data`` object of DESIGN 9."""
        data: dict[str, Any] = cloudevents.finite(asdict(self))
        return data

    def encode(self) -> bytes:
        """The CloudEvent; its id names command, attempt, rank or else node, executor and state."""
        who = self.detail.get("node", "-") if self.rank is None else self.rank
        event_id = f"{self.command}/{self.attempt}/{who}/{self.executor}/{self.state}"
        return cloudevents.encode(cloudevents.ACK, event_id, self.run, self.time, self.to_json())


def _known(kind: type[Any], data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in kind.__dataclass_fields__}


def decode_command(payload: bytes) -> Command:
    """A command from its CloudEvent; unknown keys are ignored. Raises CloudEventError."""
    return decode_addressed(payload)[0]


def decode_addressed(payload: bytes) -> tuple[Command, Any]:
    """A command, and the subject of its envelope, which is its run again. Raises CloudEventError."""
    if len(payload) > LARGEST_BYTES:
        raise cloudevents.CloudEventError(
            f"command: expected at most {LARGEST_BYTES} bytes, got {len(payload)}"
        )
    envelope = cloudevents.envelope(payload, cloudevents.COMMAND)
    return _command(envelope["data"]), envelope.get("subject")


def _command(data: dict[str, Any]) -> Command:
    fields = _known(Command, data)
    for name, kind in (("id", str), ("run", str), ("action", str), ("issued", str), ("expires", str)):
        if not isinstance(fields.get(name), kind):
            raise cloudevents.CloudEventError(
                f"command: expected `{name}` to be a string, got {fields.get(name)!r}"
            )
    if not isinstance(fields.get("attempt", 0), int) or isinstance(fields.get("attempt"), bool):
        raise cloudevents.CloudEventError(
            f"command: expected `attempt` to be an integer, got {fields['attempt']!r}"
        )
    for name, nested in (("target", Target), ("reason", Reason)):
        value = fields.get(name) or {}
        if not isinstance(value, dict):
            raise cloudevents.CloudEventError(f"command: expected `{name}` to be an object, got {value!r}")
        fields[name] = nested(**_known(nested, value))
    ranks = fields["target"].ranks
    if ranks != "all" and not (isinstance(ranks, list) and all(type(rank) is int for rank in ranks)):
        raise cloudevents.CloudEventError(
            f'command: expected `target.ranks` to be "all" or a list of ints, got {ranks!r}'
        )
    if not isinstance(fields.get("args", {}), dict):
        raise cloudevents.CloudEventError(f"command: expected `args` to be an object, got {fields['args']!r}")
    return Command(**fields)


def decode_ack(payload: bytes) -> Ack:
    """An acknowledgement from its CloudEvent; unknown keys are ignored. Raises CloudEventError."""
    data = cloudevents.decode(payload, cloudevents.ACK)
    try:
        ack = Ack(**_known(Ack, data))
    except TypeError as error:
        raise cloudevents.CloudEventError(f"ack: {error}") from None
    if ack.state not in ACK_STATES:
        raise cloudevents.CloudEventError(
            f"ack: expected `state` to be one of {', '.join(ACK_STATES)}, got {ack.state!r}"
        )
    return ack
