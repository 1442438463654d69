"""What the protocol asks for, one atomic action each. A driver does it and sends the answer back."""

from __future__ import annotations

from typing import NamedTuple

from emitter.agreement.words import Decision, Message


class StoreLostError(Exception):
    """The store does not answer any more; whether the last operation took effect is not known."""


class Put(NamedTuple):
    """Write. Answer: None; it may never have reached the store."""

    key: str
    value: str


class Swap(NamedTuple):
    """Write if the key is missing. Answer: the value that is there now."""

    key: str
    value: str


class Await(NamedTuple):
    """Wait until all keys are there, for ever without a limit. Answer: whether they are."""

    keys: tuple[str, ...]
    limit_s: float | None


class Peek(NamedTuple):
    """Read without waiting. Answer: a tuple of values, None where a key is missing."""

    keys: tuple[str, ...]


class Drop(NamedTuple):
    """Delete. Answer: None."""

    keys: tuple[str, ...]


class Next(NamedTuple):
    """Local: the inbox goes on to this message. Answer: whether the rank is closing."""

    message: int


class Arm(NamedTuple):
    """Local: check the command and arm. Answer: the Vote."""

    number: int
    message: Message


class Learn(NamedTuple):
    """Local: the decision is known. Answer: None."""

    number: int
    decision: Decision


class Fail(NamedTuple):
    """Local: the decision cannot be learnt. Answer: None."""

    number: int
    reason: str


class Tell(NamedTuple):
    """Local: take in a command that needs no round, or will have none. Answer: None."""

    message: Message


class Close(NamedTuple):
    """Local: the loop has ended, nothing arms any more.

    Answer: the round that is armed and undecided or 0, the message that the inbox waits for, and the round
    that this rank leads at the moment or 0.
    """


class Lead(NamedTuple):
    """Local: this rank leads this round (0: none at the moment). Answer: whether it may go on."""

    number: int


Op = Put | Swap | Await | Peek | Drop | Next | Arm | Learn | Fail | Tell | Close | Lead
