"""The protocol searched exhaustively: no two ranks pass the agreed step with different decisions.

Every order of every rank's operations; before and after each a fault may come: a crash of any rank, the loss
of the store, a write that is given up on and lands later or never, patience that ends, and any two of these.

Then the protocol broken on purpose, each way one that a prototype really had: the search has to find it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from emitter.agreement import ops, rounds
from emitter.agreement.gate import Gate, Slot
from emitter.agreement.words import Decision, Message, Vote, tally
from tests.emitter.agreement.model import KEYS, Model

SEARCHES = [
    # ranks, steps, rounds, faults, whether loops end
    (2, 2, 1, 1, False),
    (2, 1, 1, 2, False),
    (3, 1, 1, 0, False),
]
NIGHTLY = [
    (2, 2, 1, 2, False),
    (2, 3, 2, 0, False),
    (2, 1, 1, 0, True),
    (2, 1, 1, 1, True),
    (3, 1, 1, 1, False),
    (3, 1, 1, 2, False),
]


def search(ranks: int, steps: int, proposals: int, faults: int, ends: bool) -> None:
    model = Model(ranks, steps, proposals, faults, ends=ends)
    found = model.search()
    print(
        f"{ranks} ranks, {steps} steps, {proposals} rounds, {faults} faults, loops "
        f"{'end' if ends else 'go on'}: {found.states} states, {found.moves} moves"
    )
    wrong = found.split or found.stuck
    assert wrong is None, model.show(wrong)
    assert found.states > 1000


@pytest.mark.parametrize(("ranks", "steps", "proposals", "faults", "ends"), SEARCHES)
def test_no_split_and_no_deadlock(ranks: int, steps: int, proposals: int, faults: int, ends: bool) -> None:
    """Whatever comes or dies when: all that pass the count have decided alike, and nobody waits on."""
    search(ranks, steps, proposals, faults, ends)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("ranks", "steps", "proposals", "faults", "ends"), NIGHTLY)
def test_no_split_in_larger_models(ranks: int, steps: int, proposals: int, faults: int, ends: bool) -> None:
    """Two and three ranks with up to two faults anywhere, two rounds, and loops that end in the middle."""
    search(ranks, steps, proposals, faults, ends)


LIMIT = 1_000_000
"""Of states, within which what is broken shows."""

Follow = Callable[..., Generator[Any, Any, None]]


def listening(follow: Follow) -> Callable[..., Generator[Any, Any, None]]:
    """A rank that listens for one round, and follows it in a way of its own."""

    def listen(keys: Any, rank: int) -> Generator[Any, Any, None]:
        for message in (1, 2):
            yield ops.Next(message)
            yield ops.Await((keys.inbox(rank, message),), None)
            (text,) = yield ops.Peek((keys.body(message),))
            yield from follow(keys, message, rank, Message.decode(text))

    return listen


def ready_before_arm(keys: Any, number: int, rank: int, message: Message) -> Generator[Any, Any, None]:
    """Votes for a count that it has only looked up, at the beginning, and arms afterwards."""
    yield ops.Put(keys.vote(number, rank), Vote(at=1).encode())
    yield ops.Arm(number, message)
    yield ops.Await((keys.decision(number),), None)
    (text,) = yield ops.Peek((keys.decision(number),))
    yield ops.Learn(number, Decision.decode(text))


def goes_on_without_store(keys: Any, number: int, rank: int, message: Message) -> Generator[Any, Any, None]:
    """Takes a lost store for an abort."""
    vote = yield ops.Arm(number, message)
    try:
        yield ops.Put(keys.vote(number, rank), vote.encode())
        if (yield ops.Await((keys.decision(number),), rounds.DECISION_S)):
            (text,) = yield ops.Peek((keys.decision(number),))
        else:
            text = yield ops.Swap(keys.decision(number), Decision(reason="silence").encode())
        yield ops.Learn(number, Decision.decode(text))
    except ops.StoreLostError:
        yield ops.Learn(number, Decision(reason="store lost"))


def decides_alone(keys: Any, number: int, rank: int, message: Message) -> Generator[Any, Any, None]:
    """Takes silence for an abort without writing it down."""
    vote = yield ops.Arm(number, message)
    yield ops.Put(keys.vote(number, rank), vote.encode())
    if (yield ops.Await((keys.decision(number),), rounds.DECISION_S)):
        (text,) = yield ops.Peek((keys.decision(number),))
        yield ops.Learn(number, Decision.decode(text))
    else:
        yield ops.Learn(number, Decision(reason="silence"))


def overwrites_decision(everyone: range, proposals: int) -> Generator[Any, Any, None]:
    """Writes the decision where it should compare and set."""
    for number in range(1, proposals + 1):
        yield from rounds.publish(KEYS, number, everyone, Message(b"", {}, number))
        votes = tuple(KEYS.vote(number, rank) for rank in everyone)
        yield ops.Await(votes, rounds.VOTE_S)
        texts = yield ops.Peek(votes)
        decision = tally(list(zip(everyone, texts, strict=True)), rounds.VOTE_S)
        yield ops.Put(KEYS.decision(number), decision.encode())


def forgets_early(everyone: range, proposals: int) -> Generator[Any, Any, None]:
    """Deletes the decision before all have acknowledged it."""
    for number in range(1, proposals + 1):
        yield from rounds.lead(KEYS, number, number, everyone, Message(b"", {}, number))
        yield ops.Await((KEYS.done(number, 0),), rounds.DONE_S)
        yield ops.Drop((KEYS.decision(number),))


def proposes_on(everyone: range, proposals: int) -> Generator[Any, Any, None]:
    """Does not wait until all have left the round before."""
    for number in range(1, proposals + 1):
        yield from rounds.lead(KEYS, number, number, everyone, Message(b"", {}, number))


def overwrite_slot(gate: Gate, number: int, here: int, sure: int) -> Vote:
    """A later proposal takes the place of one that is armed."""
    gate.slot = Slot(number, here if gate.inside else sure)
    return Vote(at=gate.slot.vote)


BROKEN: dict[str, tuple[tuple[int, int, int, int], dict[str, Any]]] = {
    "ready before armed": ((2, 2, 1, 0), {"listen": listening(ready_before_arm)}),
    "lost store taken for abort": ((2, 1, 1, 1), {"listen": listening(goes_on_without_store)}),
    "silence taken for abort": ((2, 1, 1, 0), {"listen": listening(decides_alone)}),
    "decision overwritten": ((2, 1, 1, 0), {"lead": overwrites_decision}),
    "decision deleted early": ((2, 2, 1, 0), {"lead": forgets_early}),
    "next proposal overwrites": ((2, 2, 2, 0), {"lead": proposes_on, "arm": overwrite_slot}),
    "store restarted empty": ((2, 1, 1, 1), {"reconnects": True}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_search_finds_what_is_broken(name: str) -> None:
    """Each cure taken away again makes ranks decide differently, and the search sees it."""
    size, changes = BROKEN[name]
    found = Model(*size, ends=False, **changes).search(LIMIT)

    print(f"{name}: found after {found.states} states")
    assert found.split is not None
