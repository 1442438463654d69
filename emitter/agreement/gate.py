"""Where the protocol meets the training thread. Every call is made under one lock, which the caller holds.

A rank that voted for a count stops there until the decision is known. The lock orders what happens here; that
no count slips by unseen is the business of ``Steps.arm``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from emitter.agreement.words import Decision, Vote


class Verdict(enum.Enum):
    """What the training thread does at its count."""

    FREE = "nothing is armed"
    LATER = "go on, and look again at the next count"
    HOLD = "wait for the decision"
    RUN = "run the command now"
    LOST = "end the attempt"


@dataclass(frozen=True)
class Slot:
    """The one round that is armed."""

    number: int
    vote: int
    decision: Decision | None = None
    lost: str | None = None


@dataclass
class Gate:
    """``passed`` lists rounds that left the slot and were not reported yet."""

    slot: Slot | None = None
    inside: bool = False
    closed: bool = False
    reading: int = 0
    leading: int = 0
    passed: list[int] = field(default_factory=list)

    def next(self, message: int) -> bool:
        """The inbox waits for this message from now on; whether there is no need to wait."""
        self.reading = message
        return self.closed

    def arm(self, number: int, here: int, sure: int) -> Vote:
        """Hold at the first boundary that is sure to come: this one, where the thread is still in it."""
        assert self.slot is None
        self.slot = Slot(number, here if self.inside else sure)
        return Vote(at=self.slot.vote)

    def learn(self, number: int, decision: Decision) -> None:
        """The decision; an abort frees the slot at once."""
        slot = self.slot
        if slot is None or slot.number != number or slot.decision is not None:
            return
        self.slot = Slot(number, slot.vote, decision)
        if decision.at is None:
            self._free()

    def fail(self, number: int, reason: str) -> None:
        """The decision cannot be learnt."""
        slot = self.slot
        if slot is not None and slot.number == number and slot.decision is None:
            self.slot = Slot(number, slot.vote, lost=reason)

    def at(self, count: int) -> Verdict:
        """What to do at this count; RUN frees the slot."""
        slot = self.slot
        if slot is None:
            return Verdict.FREE
        if count < slot.vote:
            return Verdict.LATER
        if slot.lost is not None:
            return Verdict.LOST
        if slot.decision is None:
            return Verdict.HOLD
        assert slot.decision.at is not None
        if count < slot.decision.at:
            return Verdict.LATER
        if count > slot.decision.at:
            # An exit at the boundary was caught and the loop went on: others have run the command.
            return Verdict.LOST
        self._free()
        return Verdict.RUN

    def due(self, count: int) -> bool:
        """Whether the training thread has something to do or to wait for at this count."""
        slot = self.slot
        if slot is None or count < slot.vote:
            return False
        return slot.decision is None or slot.decision.at is None or count >= slot.decision.at

    def close(self) -> tuple[int, int, int]:
        """No round is armed any more: the one undecided, the message waited for, the round led."""
        self.closed = True
        slot = self.slot
        undecided = slot.number if slot is not None and slot.decision is None else 0
        if slot is not None and slot.decision is not None:
            self._free()
        return undecided, self.reading, self.leading

    def lead(self, number: int) -> bool:
        """Whether this rank may still lead."""
        if not self.closed:
            self.leading = number
        return not self.closed

    def _free(self) -> None:
        assert self.slot is not None
        self.passed.append(self.slot.number)
        self.slot = None
