"""All states that a few ranks can come to, with the protocol's own code as the only source of what they do.

A generator cannot be copied, but it can be made again and given the same answers. Where it then stands, line
and variables, is its place, and every next operation is computed once. What happens between two operations is
local; the scheduler takes every enabled operation of every thread, a fault at every point, and every end of a
wait that has a limit.

Atomic here, and why that is sound: ``Arm`` against the count of the training thread (test_arming searches
that), and what the gate does under its lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from functools import cache, partial
from typing import Any, Final, NamedTuple

from emitter.agreement import ops, rounds
from emitter.agreement.gate import Gate, Slot, Verdict
from emitter.agreement.words import POKE, Keys, Message, Vote
from tests.emitter.agreement import layers

KEYS: Final = Keys("m")
LOST: Final = object()
"""The answer of an operation that raised StoreLostError."""
ENDED: Final = -1
"""The place of a thread that has nothing more to do."""

Make = Callable[[], Generator[Any, Any, Any]]


class Thread:
    """Every place that one generator can be at, found as it is asked for."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._histories: list[tuple[Any, ...]] = []
        self._ops: list[Any] = []
        self._places: dict[Any, int] = {}
        self._known: dict[tuple[int, Any], int] = {}
        self._replay(())

    def op(self, place: int) -> Any:
        """The operation it waits for."""
        return self._ops[place]

    def after(self, place: int, answer: Any) -> int:
        """Where this answer takes it."""
        key = (place, answer)
        if key not in self._known:
            self._known[key] = self._replay((*self._histories[place], answer))
        return self._known[key]

    def _replay(self, history: tuple[Any, ...]) -> int:
        generator = self._make()
        try:
            op = next(generator)
            for answer in history:
                lost = ops.StoreLostError("lost")
                op = generator.throw(lost) if answer is LOST else generator.send(answer)
        except (StopIteration, ops.StoreLostError):
            return ENDED
        found = _place(generator)
        if found not in self._places:
            self._places[found] = len(self._ops)
            self._ops.append(op)
            self._histories.append(history)
        return self._places[found]


def _place(generator: Any) -> Any:
    """Line and variables of a generator, and of those it hands over to."""
    found = []
    while generator is not None and hasattr(generator, "gi_frame"):
        frame = generator.gi_frame
        variables = sorted((name, repr(value)) for name, value in frame.f_locals.items())
        found.append((frame.f_code.co_name, frame.f_lasti, tuple(variables)))
        generator = generator.gi_yieldfrom
    return tuple(found)


GateState = tuple[Slot | None, bool, bool, int, int, tuple[int, ...]]


class Rank(NamedTuple):
    """One process. ``pc`` is where its training thread is; ``ran`` are rounds run, with the count."""

    pc: str
    calls: int
    gate: GateState
    listen: int
    lead: int
    leave: int
    ran: tuple[tuple[int, int], ...]


class Shared(NamedTuple):
    """``store`` is None when lost for good; ``late`` are writes that were given up on, and may yet happen."""

    store: frozenset[tuple[str, str]] | None
    fresh: frozenset[tuple[str, str]]
    late: frozenset[tuple[str, str, bool]]
    faults: int


class Numbers:
    """A small number for each value, and back."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.values: list[Any] = []

    def of(self, value: Any) -> int:
        """The number of this value."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


DEAD: Final = ("crashed", "stopped")
BEYOND: Final = ("run", "leaving", "over")
"""The training thread has left the boundary of its count."""
_Moves = list[tuple[Rank, Shared]]


class Model:
    """``steps`` calls of step() a rank, ``proposals`` rounds, at most ``faults`` faults.

    ``ends``: loops close when they are through; else they stay as they are, and ranks go on listening.
    Arguments beyond that replace parts of the protocol, or of the store, by broken ones.
    """

    def __init__(
        self,
        ranks: int,
        steps: int,
        proposals: int,
        faults: int,
        *,
        listen: Callable[..., Any] = rounds.listen,
        lead: Callable[..., Any] | None = None,
        ends: bool = True,
        arm: Callable[[Gate, int, int, int], Any] = Gate.arm,
        reconnects: bool = False,
    ) -> None:
        self._size, self._steps, self._faults = ranks, steps, faults
        self._ends, self._arm, self._reconnects = ends, arm, reconnects
        everyone = range(ranks)
        self._threads = [
            {
                "listen": Thread(partial(listen, KEYS, rank)),
                "leave": Thread(partial(rounds.leave, KEYS, rank, everyone)),
                "lead": Thread(partial(lead or leading, everyone, proposals)),
            }
            for rank in everyone
        ]
        self._ranks, self._shared = Numbers(), Numbers()

    def search(self, limit: int = 300_000_000) -> layers.Found:
        """Visit every state; stop at the first that must not be."""
        gate: GateState = (None, False, False, 0, 0, ())
        ranks = [
            self._ranks.of(Rank("run", 0, gate, 0, 0 if rank == 0 else ENDED, ENDED, ()))
            for rank in range(self._size)
        ]
        first = (*ranks, self._shared.of(Shared(frozenset(), frozenset(), frozenset(), self._faults)))
        kinds = Numbers()
        return layers.search(
            first, self._moves, self._alone, lambda rank: kinds.of(self._past(rank)), self._is_split,
            self._is_over, limit,
        )  # fmt: skip

    def show(self, state: tuple[int, ...]) -> str:
        """A state that a search has found, for people."""
        values = [self._ranks.values[number] for number in state[:-1]]
        return "\n".join(str(value) for value in (*values, self._shared.values[state[-1]]))

    def _moves(self, place: int, rank: int, shared: int) -> layers.Moves:
        """What one process can do, faults of its own included."""
        me: Rank = self._ranks.values[rank]
        around: Shared = self._shared.values[shared]
        if me.pc in DEAD:
            return [], False
        moves = self._main(place, me, around)
        moves += self._report(place, me, around)
        for name in ("listen", "lead", "leave"):
            moves += self._thread(place, me, around, name)
        faults: _Moves = []
        if around.faults and me.pc != "over":
            spent = around._replace(faults=around.faults - 1)
            faults.append((_dead(me, "crashed"), spent))
            if me.pc == "check" and _gate(me).at(me.calls) is Verdict.HOLD:
                # The training thread's own patience ends before it hears anything.
                faults.append((_dead(me, "stopped"), spent))
        both = [(self._ranks.of(to), self._shared.of(then)) for to, then in (*moves, *faults)]
        return both, bool(moves)

    def _alone(self, shared: int) -> tuple[list[int], bool]:
        """What happens to the store by itself: late writes, and its loss."""
        around: Shared = self._shared.values[shared]
        late = [self._shared.of(_write_late(around, write)) for write in around.late]
        lost = []
        if around.faults and around.store is not None:
            gone = around._replace(store=None, late=frozenset(), faults=around.faults - 1)
            lost.append(self._shared.of(gone))
        return late + lost, bool(late)

    def _main(self, place: int, rank: Rank, around: Shared) -> _Moves:
        """One move of the training thread; what nobody else could tell apart is one move."""
        if rank.pc == "run" and rank.calls == self._steps:
            if not self._ends:
                return [(rank._replace(pc="over"), around)]
            return self._thread(place, rank._replace(pc="leaving", leave=0), around, "leave")
        if rank.pc == "run":
            rank = rank._replace(calls=rank.calls + 1)
            if rank.gate[0] is None:  # not armed: step() does not even look
                return [(rank, around)]
            return [(_boundary(rank), around)]
        if rank.pc == "handler" or (rank.pc == "check" and _gate(rank).at(rank.calls) is not Verdict.HOLD):
            return [(_boundary(rank), around)]
        return []

    def _report(self, place: int, rank: Rank, around: Shared) -> _Moves:
        """The thread of short operations says that a round has left the slot."""
        gate = _gate(rank)
        if not gate.passed:
            return []
        op = ops.Put(KEYS.done(gate.passed.pop(0), place), POKE)
        return [(_put_gate(rank, gate), after) for after, _ in self._store(around, op)]

    def _thread(self, place: int, rank: Rank, around: Shared, name: str) -> _Moves:
        at = getattr(rank, name)
        if at == ENDED:
            return []
        thread = self._threads[place][name]
        at, around = _observe(thread, at, around)
        if at == ENDED:
            return [(rank._replace(**_at(name, ENDED)), around)]
        op = thread.op(at)
        local = self._local(rank, op)
        if local is not None:
            moved, answer = local
            found = [(moved, around, thread.after(at, answer))]
        else:
            found = [(rank, then, thread.after(at, answer)) for then, answer in self._store(around, op)]
        return [(_ended(rank._replace(**_at(name, to)), name), then) for rank, then, to in found]

    def _local(self, rank: Rank, op: Any) -> tuple[Rank, Any] | None:
        """What an operation does that needs no store, and its answer."""
        gate = _gate(rank)
        answer: Any = None
        if isinstance(op, ops.Next):
            answer = gate.next(op.message)
        elif isinstance(op, ops.Arm):
            gone = Vote(reason="ended", gone=True)
            answer = gone if gate.closed else self._arm(gate, op.number, rank.calls, rank.calls + 1)
        elif isinstance(op, ops.Learn):
            gate.learn(op.number, op.decision)
        elif isinstance(op, ops.Fail):
            gate.fail(op.number, "lost")
        elif isinstance(op, ops.Close):
            answer = gate.close()
        elif isinstance(op, ops.Lead):
            answer = gate.lead(op.number)
        elif not isinstance(op, ops.Tell):
            return None
        return _put_gate(rank, gate), answer

    def _store(self, around: Shared, op: Any) -> list[tuple[Shared, Any]]:
        """Every store and answer that an operation on it can end with."""
        if around.store is None and not self._reconnects:
            # A write that is not acknowledged may seem to have worked.
            return [(around, LOST), (around, None)] if isinstance(op, ops.Put) else [(around, LOST)]
        values = dict(around.store if around.store is not None else around.fresh)
        if isinstance(op, ops.Await):
            if all(key in values for key in op.keys):
                return [(around, True)]
            return [] if op.limit_s is None else [(around, False)]
        if isinstance(op, ops.Peek):
            return [(around, tuple(values.get(key) for key in op.keys))]
        found: list[tuple[Shared, Any]] = []
        if around.faults and around.store is not None and isinstance(op, (ops.Put, ops.Swap)):
            # No answer within the bound: given up on, and perhaps written later.
            late = around.late | {(op.key, _plain(op.value), isinstance(op, ops.Swap))}
            found.append((around._replace(late=late, faults=around.faults - 1), LOST))
        answer = None
        if isinstance(op, ops.Put):
            values[op.key] = _plain(op.value)
        elif isinstance(op, ops.Swap):
            answer = values.setdefault(op.key, _plain(op.value))
        else:
            for key in op.keys:
                values.pop(key, None)
        return [*found, (_holding(around, values), answer)]

    def _is_over(self, number: int) -> bool:
        """Whether a rank that lives has come to its end."""
        rank: Rank = self._ranks.values[number]
        ended = rank.pc == "over" and rank.lead == ENDED and (rank.listen == ENDED or not self._ends)
        return rank.pc in DEAD or ended

    def _past(self, number: int) -> tuple[Any, ...]:
        """All of a rank that a split can be seen by."""
        rank: Rank = self._ranks.values[number]
        return rank.ran, rank.calls, rank.pc in BEYOND

    def _is_split(self, numbers: Sequence[int]) -> bool:
        """Whether two ranks have passed the agreed count with different decisions."""
        ranks: list[Rank] = [self._ranks.values[number] for number in numbers]
        agreed: dict[int, int] = {}
        for rank in ranks:
            for number, count in rank.ran:
                if agreed.setdefault(number, count) != count:
                    return True
        return any(
            _passed(rank, count) and (number, count) not in rank.ran
            for number, count in agreed.items()
            for rank in ranks
        )


def _dead(rank: Rank, how: str) -> Rank:
    """Of a process that is gone only what it has done is left."""
    calls = rank.calls + (rank.pc in BEYOND)
    return Rank(how, calls, (None, False, True, 0, 0, ()), ENDED, ENDED, ENDED, rank.ran)


@cache
def _plain(value: str) -> str:
    """Without the reason, which is for people: nothing in the protocol looks at it."""
    data = json.loads(value)
    return json.dumps({**data, "reason": ""}) if isinstance(data, dict) and "reason" in data else value


def _observe(thread: Thread, at: int, around: Shared) -> tuple[int, Shared]:
    """Do at once, with what comes next, what no other thread can be in between of.

    The end of a wait whose keys stay; reading what does not change any more or cannot change the decision;
    writing what nobody reads before a later write of the same thread.
    """
    while at != ENDED and around.store is not None:
        op, values = thread.op(at), dict(around.store)
        if isinstance(op, ops.Await) and all(key in values for key in op.keys):
            at = thread.after(at, True)
        elif isinstance(op, ops.Peek):
            at = thread.after(at, tuple(values.get(key) for key in op.keys))
        elif isinstance(op, ops.Put) and op.key.split("/")[1] in ("joined", "body"):
            values[op.key] = op.value
            around, at = _holding(around, values), thread.after(at, None)
        else:
            break
    return at, around


def _boundary(rank: Rank) -> Rank:
    """The training thread enters the boundary, or looks again."""
    gate = _gate(rank)
    slot, gate.inside = gate.slot, True
    verdict = gate.at(rank.calls)
    if verdict is Verdict.HOLD:
        return _put_gate(rank, gate)._replace(pc="check")
    if verdict is Verdict.LOST:
        return _dead(rank._replace(pc="check"), "stopped")
    if verdict is Verdict.RUN:
        assert slot is not None
        return _put_gate(rank, gate)._replace(pc="handler", ran=(*rank.ran, (slot.number, rank.calls)))
    gate.inside = False
    return _put_gate(rank, gate)._replace(pc="run")


def _at(name: str, place: int) -> Any:
    return {name: place}


def _ended(rank: Rank, name: str) -> Rank:
    return rank._replace(pc="over") if name == "leave" and rank.leave == ENDED else rank


def _passed(rank: Rank, count: int) -> bool:
    """Whether the training thread has gone on from the boundary of this count."""
    return rank.calls > count or (rank.calls == count and rank.pc in BEYOND)


def leading(ranks: range, proposals: int) -> Generator[Any, Any, None]:
    """The leader's thread, as ``emitter.agreement.leader`` runs it."""
    for number in range(1, proposals + 1):
        decision = yield from rounds.lead(KEYS, number, number, ranks, Message(b"", {}, number))
        if decision is None or (yield from rounds.settle(KEYS, number, ranks)) != []:
            return


def _gate(rank: Rank) -> Gate:
    slot, inside, closed, reading, led, passed = rank.gate
    return Gate(slot, inside, closed, reading, led, list(passed))


def _put_gate(rank: Rank, gate: Gate) -> Rank:
    return rank._replace(
        gate=(gate.slot, gate.inside, gate.closed, gate.reading, gate.leading, tuple(gate.passed))
    )


def _holding(around: Shared, values: dict[str, str]) -> Shared:
    held = frozenset(values.items())
    return around._replace(fresh=held) if around.store is None else around._replace(store=held)


def _write_late(around: Shared, write: tuple[str, str, bool]) -> Shared:
    key, value, swap = write
    after = around._replace(late=around.late - {write})
    values = dict(around.store or ())
    if not (swap and key in values):
        values[key] = value
    return _holding(after, values)
