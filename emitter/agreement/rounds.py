"""The protocol, as generators of operations: who runs them decides what a store is and what time is.

A vote names the count at which the rank will hold until it knows the decision, so a vote is also the answer
`ready`. The decision is the highest vote, or an abort; the first write to its key wins.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final

from emitter.agreement.ops import (
    Arm,
    Await,
    Close,
    Drop,
    Fail,
    Lead,
    Learn,
    Next,
    Op,
    Peek,
    Put,
    StoreLostError,
    Swap,
    Tell,
)
from emitter.agreement.words import POKE, Decision, Keys, Message, Vote, tally

VOTE_S: Final = 10.0
"""How long the leader waits for votes: other ranks may hold their loops for as long."""

DECISION_S: Final = 20.0
"""How long a rank that voted waits before it tries to abort by itself; longer than the leader waits."""

DONE_S: Final = 30.0
"""How long the leader waits for all ranks to leave a round before it turns away what queues behind it."""

ENDED: Final = "the training loop of rank {} has ended"


def listen(keys: Keys, rank: int) -> Generator[Op, Any, None]:
    """What every rank does, from joining to closing: take its messages in order."""
    message = number = 0
    yield Put(keys.joined(rank), POKE)
    while True:
        message += 1
        if (yield Next(message)):
            gone = Vote(reason=ENDED.format(rank), gone=True)
            yield from _refuse(keys, number + 1, rank, gone)
            return
        yield Await((keys.inbox(rank, message),), None)
        (text,) = yield Peek((keys.body(message),))
        if text is None:  # woken to close
            continue
        found = Message.decode(text)
        if found.round:
            number = found.round
            yield from follow(keys, number, rank, found)
        else:
            yield Tell(found)


def follow(keys: Keys, number: int, rank: int, message: Message) -> Generator[Op, Any, None]:
    """One round as a rank sees it. Raises StoreLostError."""
    vote = yield Arm(number, message)
    if vote.at is None:
        yield from _refuse(keys, number, rank, vote)
        return
    try:
        yield Put(keys.vote(number, rank), vote.encode())
        if (yield Await((keys.decision(number),), DECISION_S)):
            (text,) = yield Peek((keys.decision(number),))
        else:
            silence = Decision(reason=f"rank {rank} heard no decision within {DECISION_S:g} s")
            text = yield Swap(keys.decision(number), silence.encode())
        if text is None:
            raise StoreLostError("the decision has vanished from the store")
    except StoreLostError as error:
        yield Fail(number, str(error))
        raise
    yield Learn(number, Decision.decode(text))


def _refuse(keys: Keys, number: int, rank: int, vote: Vote) -> Generator[Op, Any, None]:
    """Without this vote nothing can be committed, so nobody needs to wait for the leader to say so."""
    yield Put(keys.vote(number, rank), vote.encode())
    yield Swap(keys.decision(number), Decision(reason=vote.reason).encode())
    yield Put(keys.done(number, rank), POKE)


def lead(
    keys: Keys, number: int, message: int, ranks: Sequence[int], found: Message
) -> Generator[Op, Any, Decision | None]:
    """One round as the leader sees it, up to the decision; None when closing. Raises StoreLostError."""
    if not (yield Lead(number)):
        return None
    yield from publish(keys, message, ranks, found)
    votes = tuple(keys.vote(number, rank) for rank in ranks)
    yield Await(votes, VOTE_S)
    texts = yield Peek(votes)
    decision = tally(list(zip(ranks, texts, strict=True)), VOTE_S)
    text = yield Swap(keys.decision(number), decision.encode())
    return Decision.decode(text)


def publish(keys: Keys, message: int, ranks: Sequence[int], found: Message) -> Generator[Op, Any, None]:
    """Put a message before every rank."""
    yield Put(keys.body(message), found.encode())
    for rank in ranks:
        yield Put(keys.inbox(rank, message), POKE)


def settle(keys: Keys, number: int, ranks: Sequence[int]) -> Generator[Op, Any, list[int] | None]:
    """Wait until every rank has left the round, then forget it. Ranks that have not; None when closing."""
    dones = tuple(keys.done(number, rank) for rank in ranks)
    if not (yield Await(dones, DONE_S)):
        texts = yield Peek(dones)
        return [rank for rank, text in zip(ranks, texts, strict=True) if text is None]
    # Asked after the wait: a leader that closes ends the wait with marks of its own.
    if not (yield Lead(0)):
        return None
    yield Drop((*dones, *(keys.vote(number, rank) for rank in ranks), keys.decision(number)))
    return []


def leave(keys: Keys, rank: int, ranks: Sequence[int]) -> Generator[Op, Any, None]:
    """The loop has ended: decide what is undecided, and wake whoever waits here."""
    undecided, message, leading = yield Close()
    ended = Vote(reason=ENDED.format(rank), gone=True)
    abort = Decision(reason=ended.reason).encode()
    if undecided:
        text = yield Swap(keys.decision(undecided), abort)
        yield Learn(undecided, Decision.decode(text))
        yield Close()  # a commit that will not be reached leaves the gate, too
    if message:
        yield Put(keys.inbox(rank, message), POKE)
    if leading:
        yield Swap(keys.decision(leading), abort)
        for other in ranks:
            yield Swap(keys.vote(leading, other), ended.encode())
            yield Swap(keys.done(leading, other), POKE)
