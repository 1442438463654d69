"""Who stores a record that an emitter sent twice, when the copies lie in different batches.

The batch that was written down first. Where nobody wrote that it was inserted, the history itself is asked;
where that does not have the record yet, the other batch waits for it, unless nobody else will insert it, and
at most ``PATIENCE_S``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from stream.sink.plans import Key, Place
from stream.sink.ranges import Range, spans_of

PATIENCE_S: Final = 30.0
"""Longer than a takeover lasts: who planned a batch has then inserted it, or somebody else has."""
_NEVER: Final = 2**64


class Sent(NamedTuple):
    """Numbers that a batch holds. ``block``: the smaller, the earlier was it written down."""

    numbers: Range
    key: Key
    block: int
    age_s: float


class Asked(Protocol):
    """What is asked of ``register.Register``."""

    def sent(self, ranges: Collection[Range], vague: Collection[str] = ()) -> list[Sent]: ...

    def stored(self, keys: Collection[Key]) -> set[Key]: ...

    def numbers_in_history(self, emitter: str, first: int, last: int) -> set[int]: ...

    def spans_in_history(self, emitter: str, number: int) -> set[int]: ...


@dataclass(frozen=True)
class Holding:
    """The numbers that a batch is about to store."""

    key: Key
    ranges: list[Range]


@dataclass
class Verdict:
    """``known``: the numbers that a batch must leave out. ``undecided``: ask again in a moment."""

    known: dict[Key, set[tuple[str, int]]] = field(default_factory=dict)
    undecided: bool = False


def settle(
    register: Asked,
    holdings: Iterable[Holding],
    *,
    vague: Collection[str] = (),
    ours: Callable[[Place], bool],
    done: Collection[Key] = (),
) -> Verdict:
    """What these batches must not store. ``ours``: partitions whose batches nobody else inserts.

    ``vague``: senders for whom our own earlier batches count, too; ``done``: batches known to be inserted.
    """
    held = [holding for holding in holdings if holding.ranges]
    found = register.sent([each for holding in held for each in holding.ranges], vague)
    if not any(_contests(each, holding) for each in found for holding in held):
        return Verdict()
    contested = {(each.numbers.emitter, each.numbers.bucket) for each in found}
    asked = [r for holding in held for r in holding.ranges if (r.emitter, r.bucket) in contested]
    everything = register.sent(asked, {each.emitter for each in asked})
    inserted = register.stored({each.key for each in everything}) | set(done)
    court = _Court(register, everything, inserted, ours)
    for holding in held:
        court.judge(holding)
    return court.verdict


class _Court:
    """Judges one batch after the other."""

    def __init__(
        self, register: Asked, sent: list[Sent], inserted: set[Key], ours: Callable[[Place], bool]
    ) -> None:
        self.verdict = Verdict()
        self._register, self._sent, self._inserted, self._ours = register, sent, inserted, ours

    def judge(self, holding: Holding) -> None:
        """Find the numbers that others hold by right."""
        for other in self._sent:
            for mine in holding.ranges if other.key != holding.key else ():
                numbers = _overlap(mine, other.numbers)
                if numbers:
                    self._decide(holding, other, numbers)

    def _decide(self, holding: Holding, other: Sent, numbers: range) -> None:
        emitter = other.numbers.emitter
        if other.key in self._inserted:
            self._leave_out(holding, emitter, numbers)
            return
        stored = self._in_history(emitter, numbers)
        self._leave_out(holding, emitter, stored)
        if other.age_s < PATIENCE_S and not self._ours(other.key.place):
            left = (number for number in numbers if number not in stored)
            self.verdict.undecided |= any(other.block < self._block(holding, emitter, n) for n in left)

    def _block(self, holding: Holding, emitter: str, number: int) -> int:
        """When this batch was written down with the number; never, where it was not."""
        written = (
            each.block
            for each in self._sent
            if each.key == holding.key
            and each.numbers.emitter == emitter
            and each.numbers.first <= number <= each.numbers.last
        )
        return min(written, default=_NEVER)

    def _leave_out(self, holding: Holding, emitter: str, numbers: Iterable[int]) -> None:
        known = self.verdict.known.setdefault(holding.key, set())
        known.update((emitter, number) for number in numbers)

    def _in_history(self, emitter: str, numbers: range) -> set[int]:
        if emitter.endswith(spans_of("")):
            plain = emitter.removesuffix(spans_of(""))
            return set().union(*(self._register.spans_in_history(plain, number) for number in numbers))
        return self._register.numbers_in_history(emitter, numbers[0], numbers[-1]) & set(numbers)


def _contests(sent: Sent, holding: Holding) -> bool:
    return sent.key != holding.key and any(_overlap(sent.numbers, each) for each in holding.ranges)


def _overlap(one: Range, other: Range) -> range:
    """The numbers that both have."""
    if one.emitter != other.emitter:
        return range(0)
    return range(max(one.first, other.first), min(one.last, other.last) + 1)
