"""Visits every state of a model, one layer of moves after the other, in arrays.

A state is one number: those of its ranks and of what they share, side by side. What a rank does depends on
itself and on what is shared alone, so each such pair is asked of the model once, and a layer is a few joins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint64]
RANK_BITS: Final = 14

Moves = tuple[Sequence[tuple[int, int]], bool]
"""The rank and what is shared after each move, and whether one of the moves is no fault."""


class Found(NamedTuple):
    """What a search saw. ``split`` and ``stuck`` are the first state that must not be, as numbers."""

    states: int
    moves: int
    layers: int
    split: tuple[int, ...] | None
    stuck: tuple[int, ...] | None


class Table:
    """The moves of one place, of all pairs asked for so far, one after the other in arrays."""

    def __init__(self, ask: Callable[[int, int], Moves], shift: int, low: int) -> None:
        self._ask, self._shift, self._low = ask, np.uint64(shift), low
        self._known: dict[int, tuple[Array, bool]] = {}
        self.mask = np.uint64(((1 << RANK_BITS) - 1) << shift | ((1 << low) - 1))

    def follow(self, states: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Every state that a move of this place leads to, and which states have a move that is no fault."""
        pairs, inverse = np.unique(states & self.mask, return_inverse=True)
        found = [self._moves(int(pair)) for pair in pairs]
        counts = np.array([len(moves) for moves, _ in found], dtype=np.int64)
        progress = np.array([progress for _, progress in found], dtype=np.bool_)
        moves = np.concatenate([moves for moves, _ in found])
        starts = np.cumsum(counts) - counts
        many = counts[inverse]
        # The k-th copy of a state takes the k-th move of its pair.
        nth = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        taken = moves[np.repeat(starts[inverse], many) + nth]
        return (np.repeat(states, many) & ~self.mask) | taken, progress[inverse]

    def _moves(self, pair: int) -> tuple[Array, bool]:
        known = self._known.get(pair)
        if known is None:
            rank, shared = pair >> int(self._shift), pair & ((1 << self._low) - 1)
            moves, progress = self._ask(rank, shared)
            packed = [to << int(self._shift) | then for to, then in moves]
            assert all(to < 1 << RANK_BITS and then < 1 << self._low for to, then in moves)
            known = self._known[pair] = (np.array(packed, dtype=np.uint64), progress)
        return known


class Seen:
    """A set of numbers, in sorted arrays that are merged when they have become alike in size."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self.size = 0

    def new(self, states: Array) -> Array:
        """Those that are not in it; they are from now on."""
        for part in self._parts:
            at = np.searchsorted(part, states)
            at[at == len(part)] = 0
            states = states[part[at] != states]
        self.size += len(states)
        self._parts.append(states)
        while len(self._parts) > 1 and len(self._parts[-2]) < 2 * len(self._parts[-1]):
            merged = np.concatenate(self._parts[-2:])
            merged.sort(kind="stable")
            self._parts[-2:] = [merged]
        return states


def search(
    first: tuple[int, ...],
    moves: Callable[[int, int, int], Moves],
    alone: Callable[[int], tuple[Sequence[int], bool]],
    kind: Callable[[int], int],
    is_bad: Callable[[Sequence[int]], bool],
    is_over: Callable[[int], bool],
    limit: int,
) -> Found:
    """Every state that can be reached from the first; stops at the first that must not be.

    ``moves`` of one place, rank and what is shared; ``alone`` of what is shared by itself. ``is_bad`` asks
    about one rank of each ``kind``; ``is_over`` says of a rank that it needs no move any more.
    """
    size = len(first) - 1
    low = 64 - RANK_BITS * size
    shifts = [low + RANK_BITS * place for place in range(size)]
    tables = [
        Table(lambda rank, shared, place=place: moves(place, rank, shared), shift, low)  # type: ignore[misc]
        for place, shift in enumerate(shifts)
    ]
    by_itself = Table(lambda _, shared: _alone(alone, shared), 0, low)
    by_itself.mask = np.uint64((1 << low) - 1)
    kinds, overs, judged = _Of(kind), _Of(is_over), {}
    layer = np.array([_pack(first, shifts)], dtype=np.uint64)
    seen, total, depth = Seen(), 0, 0
    layer = seen.new(layer)
    while len(layer):
        ranks = [((layer >> np.uint64(shift)) & np.uint64((1 << RANK_BITS) - 1)) for shift in shifts]
        judged_kinds = _columns([kinds.all(column) for column in ranks])
        for key, at in judged_kinds:
            if key not in judged:
                judged[key] = is_bad([int(column[at]) for column in ranks])
            if judged[key]:
                return Found(seen.size, total, depth, _unpack(int(layer[at]), shifts, low), None)
        following, progress = [], np.zeros(len(layer), dtype=np.bool_)
        for table in (*tables, by_itself):
            found, moved = table.follow(layer)
            following.append(np.unique(found))
            progress |= moved
            total += len(found)
        over = np.all([overs.all(column) for column in ranks], axis=0)
        stuck = np.flatnonzero(~progress & ~over)
        if len(stuck):
            return Found(seen.size, total, depth, None, _unpack(int(layer[stuck[0]]), shifts, low))
        layer = seen.new(np.unique(np.concatenate(following)))
        depth += 1
        assert seen.size < limit, f"more than {limit} states"
    return Found(seen.size, total, depth, None, None)


class _Of:
    """What a function says of numbers, for whole columns of them."""

    def __init__(self, ask: Callable[[int], int]) -> None:
        self._ask = ask
        self._known = np.empty(0, dtype=np.int64)

    def all(self, column: Array) -> NDArray[np.int64]:
        top = int(column.max()) + 1
        if top > len(self._known):
            more = [self._ask(number) for number in range(len(self._known), top)]
            self._known = np.concatenate([self._known, np.array(more, dtype=np.int64)])
        return self._known[column.astype(np.int64)]


def _columns(columns: Sequence[NDArray[np.int64]]) -> list[tuple[int, int]]:
    """Every row that occurs, as one number, with the place of one that has it."""
    key = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        key = key << 16 | column
    values, places = np.unique(key, return_index=True)
    return list(zip(values.tolist(), places.tolist(), strict=True))


def _alone(alone: Callable[[int], tuple[Sequence[int], bool]], shared: int) -> Moves:
    after, progress = alone(shared)
    return [(0, then) for then in after], progress


def _pack(state: tuple[int, ...], shifts: Sequence[int]) -> int:
    return state[-1] | sum(number << shift for number, shift in zip(state, shifts, strict=False))


def _unpack(state: int, shifts: Sequence[int], low: int) -> tuple[Any, ...]:
    ranks = [(state >> shift) & ((1 << RANK_BITS) - 1) for shift in shifts]
    return (*ranks, state & ((1 << low) - 1))
