"""What ranks write to the store: keys, votes, decisions, messages. Values are JSON text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

POKE: Final = "1"
"""The value where only the key counts."""


@dataclass(frozen=True)
class Keys:
    """Names in the store, all under one prefix that no other attempt or session uses."""

    prefix: str

    def inbox(self, rank: int, message: int) -> str:
        """Set when this message is there for this rank; a rank sets its own to wake itself."""
        return f"{self.prefix}/inbox/{rank}/{message}"

    def body(self, message: int) -> str:
        """The message, once for all ranks."""
        return f"{self.prefix}/body/{message}"

    def vote(self, number: int, rank: int) -> str:
        """What a rank answered in this round."""
        return f"{self.prefix}/round/{number}/vote/{rank}"

    def decision(self, number: int) -> str:
        """What was decided in this round: written once, by compare-and-set."""
        return f"{self.prefix}/round/{number}/decision"

    def done(self, number: int, rank: int) -> str:
        """Set when nothing of this round is left to do for a rank."""
        return f"{self.prefix}/round/{number}/done/{rank}"

    def joined(self, rank: int) -> str:
        """Set when a rank listens."""
        return f"{self.prefix}/joined/{rank}"

    def ack(self, place: int) -> str:
        """An acknowledgement of any rank, on its way to the leader; places are taken in order."""
        return f"{self.prefix}/ack/{place}"


@dataclass(frozen=True)
class Vote:
    """``at`` is the count at which a rank holds until it knows the decision; None where it refuses.

    ``gone``: this rank will refuse every later round too.
    """

    at: int | None = None
    reason: str = ""
    gone: bool = False

    def encode(self) -> str:
        """JSON text."""
        return _dumps({"at": self.at, "reason": self.reason, "gone": self.gone})

    @classmethod
    def decode(cls, text: str) -> Vote:
        """The reverse of ``encode``."""
        data = json.loads(text)
        return cls(data["at"], data["reason"], data["gone"])


@dataclass(frozen=True)
class Decision:
    """Commit at the count ``at``; abort, for ``reason``, where it is None."""

    at: int | None = None
    reason: str = ""

    def encode(self) -> str:
        """JSON text."""
        return _dumps({"at": self.at, "reason": self.reason})

    @classmethod
    def decode(cls, text: str) -> Decision:
        """The reverse of ``encode``."""
        data = json.loads(text)
        return cls(data["at"], data["reason"])


@dataclass(frozen=True)
class Message:
    """From the leader to every rank: the exact bytes of a command, with the headers that sign them.

    ``round`` is 0 where there is nothing to agree on. ``refused`` says why there will be no round.
    """

    payload: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)
    round: int = 0
    refused: str = ""

    def encode(self) -> str:
        """JSON text."""
        headers = {name: _text(value) for name, value in self.headers.items()}
        return _dumps(
            {
                "payload": _text(self.payload),
                "headers": headers,
                "round": self.round,
                "refused": self.refused,
            }
        )

    @classmethod
    def decode(cls, text: str) -> Message:
        """The reverse of ``encode``."""
        data = json.loads(text)
        headers = {name: base64.b64decode(value) for name, value in data["headers"].items()}
        return cls(base64.b64decode(data["payload"]), headers, data["round"], data["refused"])


def tally(votes: Sequence[tuple[int, str | None]], patience_s: float) -> Decision:
    """Commit at the latest count that was voted; abort where a rank refused or said nothing."""
    counts = []
    for rank, text in votes:
        if text is None:
            return Decision(reason=f"rank {rank} did not answer within {patience_s:g} s")
        vote = Vote.decode(text)
        if vote.at is None:
            return Decision(reason=vote.reason)
        counts.append(vote.at)
    return Decision(at=max(counts))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _dumps(data: Mapping[str, object]) -> str:
    return json.dumps(data, separators=(",", ":"))
