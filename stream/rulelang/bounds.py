"""Whether a condition can hold at all over a stretch of samples: checked expressions as interval arithmetic.

Every number of an expression becomes an interval that holds what it is at each of the samples, every truth
value becomes two questions: may it hold anywhere, does it hold everywhere. The answers err on the safe side
only. NaN lies in no interval: it makes comparisons false. Rounding is monotonic for the four operations
(IEEE 754), so the corners of intervals bound the rounded results; what is not monotonic gets room.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from operator import eq
from typing import Any, Final

from stream.rulelang import outlook
from stream.rulelang.generate import PEERS, SLOTS, WINDOWS, index
from stream.rulelang.interval_arithmetic import FUNCTIONS, MAY, OPERATIONS, SURELY, divide, some
from stream.rulelang.outlook import ANY, NONE, Coming, Interval
from stream.rulelang.windows import Window

_LET: Final = "_let_"
_CALL: Final = "_f_"


class Case:
    """A stretch of samples of one series, as the questions see it.

    ``low`` and ``high`` are the bounds of what stands at each place of the sheet (for flags: all, any);
    ``places`` are those of the rule's slots. ``ahead``: how many samples come after the first, at most.
    ``columns``: what stands at each place at each of the samples, None where only the bounds are known.
    """

    __slots__ = ("ahead", "columns", "coming", "high", "lets", "low", "places", "windows")

    def __init__(
        self, places: Sequence[int], low: Sequence[Any], high: Sequence[Any], windows: Sequence[Window],
        ahead: int, columns: Sequence[Sequence[Any]] | None = None,
    ) -> None:  # fmt: skip
        self.places = places
        self.low = low
        self.high = high
        self.windows = windows
        self.columns = columns
        self.ahead = ahead
        self.lets: dict[Any, Any] = {}
        self.coming: dict[int, Coming] = {}


Number = Callable[[Case], Interval]
Truth = Callable[[Case], bool]
Fixed = Callable[[Case], "float | None"]


class OpaqueError(Exception):
    """Nothing is known of this expression: it is no number, say."""


class Bounds:
    """The questions of one rule. ``sources``: what each window is fed with by samples of the rule.

    ``flags`` says of each slot that is one of ``has`` whether that is known ahead, and if so what.
    """

    def __init__(
        self, lets: Sequence[tuple[str, ast.expr]], sources: Mapping[int, ast.expr],
        flags: Mapping[int, bool | None],
    ) -> None:  # fmt: skip
        self._lets = dict(lets)
        self._sources = sources
        self._flags = flags
        self._numbers: dict[str, Number | None] = {}
        self._truths: dict[tuple[str, bool], bool | Truth] = {}
        self._feeds: dict[int, Number] = {}

    def may(self, tree: ast.expr) -> Truth:
        """Whether it may be true at one of the samples."""
        return _asked(self._truth(tree, True))

    def surely(self, tree: ast.expr) -> Truth:
        """Whether it is true at every sample."""
        return _asked(self._truth(tree, False))

    def fixed(self, tree: ast.expr) -> Fixed | None:
        """The one value that an expression has at all samples, None where it may have several."""
        if isinstance(tree, ast.Constant) and isinstance(tree.value, float):
            value = tree.value
            return lambda case: value
        if isinstance(tree, ast.Name):
            return self.fixed(self._lets[tree.id[len(_LET) :]])
        return self._fixed_choice(tree) if isinstance(tree, ast.IfExp) else None

    def _fixed_choice(self, tree: ast.IfExp) -> Fixed | None:
        body, other = self.fixed(tree.body), self.fixed(tree.orelse)
        if self._truth(tree.test, True) is False:
            return other
        test, always = self.may(tree.test), self.surely(tree.test)

        def chosen(case: Case) -> float | None:
            if not test(case):
                return None if other is None else other(case)
            return body(case) if body is not None and always(case) else None

        return chosen

    def number(self, tree: ast.expr) -> Number:
        """What the number lies in. Raises OpaqueError where it is none."""
        method = getattr(self, f"_{type(tree).__name__.lower()}", None)
        if method is None:
            raise OpaqueError
        found: Number = method(tree)
        return found

    def _truth(self, tree: ast.expr, may: bool) -> bool | Truth:
        """The question, or its answer where it is known ahead."""
        if isinstance(tree, ast.Constant):
            return bool(tree.value)
        if isinstance(tree, ast.BoolOp):
            return self._joined(tree, may)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            return _turned(self._truth(tree.operand, not may))
        if isinstance(tree, ast.Name):
            return self._named_truth(tree.id[len(_LET) :], may)
        if isinstance(tree, ast.Compare):
            return self._may_compare(tree) if may else self._surely_compare(tree)
        if isinstance(tree, ast.IfExp):
            return self._chosen(tree, may)
        return self._flag(tree, may)

    def _named_truth(self, name: str, may: bool) -> bool | Truth:
        known = self._truths.get((name, may))
        if known is None:
            inner = self._truth(self._lets[name], may)
            known = self._truths[name, may] = inner if isinstance(inner, bool) else _once((name, may), inner)
        return known

    def _joined(self, tree: ast.BoolOp, may: bool) -> bool | Truth:
        decides = isinstance(tree.op, ast.Or)
        parts: list[Truth] = []
        for part in tree.values:
            truth = self._truth(part, may)
            if truth is decides:
                return decides
            if not isinstance(truth, bool):
                parts.append(truth)
        if not parts:
            return not decides
        if len(parts) == 1:
            return parts[0]
        return _either(parts) if decides else _both(parts)

    def _chosen(self, tree: ast.IfExp, may: bool) -> bool | Truth:
        test, always = self.may(tree.test), self.surely(tree.test)
        body, other = _asked(self._truth(tree.body, may)), _asked(self._truth(tree.orelse, may))

        def ask(case: Case) -> bool:
            if not test(case):
                return other(case)
            if always(case):
                return body(case)
            return body(case) or other(case) if may else body(case) and other(case)

        return ask

    def _flag(self, tree: ast.expr, may: bool) -> bool | Truth:
        place = index(tree, SLOTS)
        if place is not None and place in self._flags:
            return self._asked_flag(place, may)
        name = _function(tree)
        if isinstance(tree, ast.Call) and name in _KINDS and self._plain(tree.args[0]):
            kinds, number = _KINDS[name], self.number(tree.args[0])
            return lambda case: kinds[0 if some(number(case)) else 1]
        return may

    def _asked_flag(self, place: int, may: bool) -> bool | Truth:
        known = self._flags[place]
        if known is not None:
            return known
        if may:
            return lambda case: bool(case.high[case.places[place]])
        return lambda case: bool(case.low[case.places[place]])

    def _plain(self, tree: ast.expr) -> bool:
        """Whether this is finite at every sample, or NaN at every one: what a stretch reads is either."""
        place = index(tree, SLOTS)
        if place is not None:
            return place not in self._flags
        return isinstance(tree, ast.Constant) and isinstance(tree.value, float) and not math.isinf(tree.value)

    def _may_compare(self, tree: ast.Compare) -> bool | Truth:
        repeated = self._repeated(tree)
        if repeated is not None:
            return repeated
        sides = [tree.left, *tree.comparators]
        pairs = []
        for operator, left, right in zip(tree.ops, sides, sides[1:], strict=False):
            test = MAY.get(type(operator))
            try:
                if test is not None:
                    pairs.append((test, self.number(left), self.number(right)))
            except OpaqueError:
                continue
        if not pairs:
            return True
        if len(pairs) == 1:
            ((only, first, second),) = pairs
            return lambda case: only(first(case), second(case))
        return lambda case: all(test(left(case), right(case)) for test, left, right in pairs)

    def _repeated(self, tree: ast.Compare) -> Truth | None:
        """``x == last(x, last=N)``: whether a value repeats the one before it is looked up, not bounded."""
        if len(tree.ops) > 1 or not isinstance(tree.ops[0], ast.Eq):
            return None
        one, other = tree.left, tree.comparators[0]
        slot, window = index(one, SLOTS), _newest(other)
        if slot is None or window is None:
            slot, window = index(other, SLOTS), _newest(one)
        source = None if window is None else self._sources.get(window)
        if slot is None or window is None or source is None or index(source, SLOTS) != slot:
            return None

        def repeats(case: Case) -> bool:
            if case.columns is None:
                return True
            column = case.columns[case.places[slot]]
            return column[0] == case.windows[window].last() or any(map(eq, column, column[1:]))

        return repeats

    def _surely_compare(self, tree: ast.Compare) -> bool | Truth:
        sides = [tree.left, *tree.comparators]
        found = []
        for operator, left, right in zip(tree.ops, sides, sides[1:], strict=False):
            test = SURELY.get(type(operator))
            if test is None or not (self._plain(left) and self._plain(right)):
                return False
            found.append((test, self.number(left), self.number(right)))
        return lambda case: all(test(left(case), right(case)) for test, left, right in found)

    def _constant(self, tree: ast.Constant) -> Number:
        if not isinstance(tree.value, float):
            raise OpaqueError
        value = tree.value
        found = (value, value) if value == value else NONE
        return lambda case: found

    def _subscript(self, tree: ast.Subscript) -> Number:
        place = index(tree, SLOTS)
        if place is None or place in self._flags:
            raise OpaqueError

        def read(case: Case) -> Interval:
            at = case.places[place]
            low = case.low[at]
            return ANY if low is None else (low, case.high[at])

        return read

    def _name(self, tree: ast.Name) -> Number:
        name = tree.id[len(_LET) :]
        if name not in self._numbers:
            self._numbers[name] = self._named(name)
        found = self._numbers[name]
        if found is None:
            raise OpaqueError
        return found

    def _named(self, name: str) -> Number | None:
        try:
            inner = self.number(self._lets[name])
        except OpaqueError:
            return None

        def once(case: Case) -> Interval:
            found: Interval | None = case.lets.get(name)
            if found is None:
                found = case.lets[name] = inner(case)
            return found

        return once

    def _unaryop(self, tree: ast.UnaryOp) -> Number:
        inner = self.number(tree.operand)
        if isinstance(tree.op, ast.UAdd):
            return inner

        def negated(case: Case) -> Interval:
            low, high = inner(case)
            return -high, -low

        return negated

    def _binop(self, tree: ast.BinOp) -> Number:
        combine = OPERATIONS[type(tree.op)]
        left, right = self.number(tree.left), self.number(tree.right)
        return lambda case: combine(left(case), right(case))

    def _ifexp(self, tree: ast.IfExp) -> Number:
        if self._truth(tree.test, True) is False:
            return self.number(tree.orelse)
        test, always = self.may(tree.test), self.surely(tree.test)
        body, other = self.number(tree.body), self.number(tree.orelse)

        def chosen(case: Case) -> Interval:
            if not test(case):
                return other(case)
            if always(case):
                return body(case)
            (a, b), (c, d) = body(case), other(case)
            return min(a, c), max(b, d)

        return chosen

    def _call(self, tree: ast.Call) -> Number:
        if isinstance(tree.func, ast.Attribute):
            return self._statistic(tree, tree.func)
        name = _function(tree)
        if name == "divide":
            left, right = (self.number(one) for one in tree.args)
            return lambda case: divide(left(case), right(case))
        combine = FUNCTIONS.get(name or "")
        if combine is None:
            return lambda case: ANY
        parts = [self.number(one) for one in tree.args]
        if len(parts) == 1:
            (only,) = parts
            return lambda case: combine(only(case))
        return lambda case: combine(*[part(case) for part in parts])

    def _statistic(self, tree: ast.Call, function: ast.Attribute) -> Number:
        if index(function.value, PEERS) is not None:
            # A stretch is judged where a rank has no peers: their number is 0, all else NaN.
            found = (0.0, 0.0) if function.attr == "count" else NONE
            return lambda case: found
        place = index(function.value, WINDOWS)
        share = tree.args[0].value if tree.args and isinstance(tree.args[0], ast.Constant) else None
        ask = outlook.of(function.attr, share if isinstance(share, float) else None)
        if place is None or ask is None:
            return lambda case: ANY
        feed = self._feed(place)
        known = ask

        def statistic(case: Case) -> Interval:
            return known(case.windows[place], case.coming.get(place) or feed(case))

        return statistic

    def _feed(self, place: int) -> Callable[[Case], Coming]:
        """What will be pushed to a window; nothing to one that events of another name fill."""
        source = self._sources.get(place)

        def feed(case: Case) -> Coming:
            if source is None:
                coming = Coming(0, *NONE)
            else:
                if place not in self._feeds:
                    self._feeds[place] = self._source(source)
                coming = Coming(case.ahead, *self._feeds[place](case))
            case.coming[place] = coming
            return coming

        return feed

    def _source(self, tree: ast.expr) -> Number:
        try:
            return self.number(tree)
        except OpaqueError:
            return lambda case: ANY


def _asked(truth: bool | Truth) -> Truth:
    return (lambda case: truth) if isinstance(truth, bool) else truth


def _turned(truth: bool | Truth) -> bool | Truth:
    return not truth if isinstance(truth, bool) else lambda case: not truth(case)


def _once(key: object, inner: Truth) -> Truth:
    """Ask for a case only once."""

    def asked(case: Case) -> bool:
        found: bool | None = case.lets.get(key)
        if found is None:
            found = case.lets[key] = inner(case)
        return found

    return asked


def _both(parts: Sequence[Truth]) -> Truth:
    def ask(case: Case) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more, and this runs often
            if not part(case):
                return False
        return True

    return ask


def _either(parts: Sequence[Truth]) -> Truth:
    def ask(case: Case) -> bool:
        for part in parts:  # noqa: SIM110
            if part(case):
                return True
        return False

    return ask


def _newest(tree: ast.expr) -> int | None:
    """The window in ``_windows[3].last()``."""
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Attribute) and tree.func.attr == "last":
        return index(tree.func.value, WINDOWS)
    return None


def _function(tree: ast.expr) -> str | None:
    """The name of a plain function that is called."""
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return tree.func.id.removeprefix(_CALL)
    return None


_KINDS: Final = {"isfinite": (True, False), "isnan": (False, True), "isinf": (False, False)}
"""What is said of a finite number, and of NaN."""
