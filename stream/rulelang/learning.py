"""What a stretch of calm samples brings to a rule's windows, computed for all samples together.

A source that looks at slots only, or at no more of windows than their newest value, how many they hold or
their exponential average, is computed for all samples at once: what it looks at is known for each of them
as soon as the values of the inner windows are. Any other is left to be computed in turn.
"""

from __future__ import annotations

import ast
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stream.rulelang.averages import Smooth
from stream.rulelang.bounds import Bounds, Case, Fixed
from stream.rulelang.functions import EMA, TIMES
from stream.rulelang.generate import SLOTS, WINDOWS, Code, index
from stream.rulelang.lazy import MOST_NODES, TooLargeError, let
from stream.rulelang.model import Program
from stream.rulelang.tapes import Tape
from stream.rulelang.windows import Window, shared

_VALUES: Final = "values"
_KNOWN: Final = frozenset({_VALUES, "last", "first", "count", "ema"})

Look = tuple[str, int]
"""A slot, or of a window a statistic or what it is fed with, by name and place."""
Columns = Sequence[Sequence[Any]]
"""The values of each slot over a stretch: all of them finite numbers, or none."""
Extend = Callable[["array[float]"], None]


class Source:
    """What the windows of one tape are fed with. ``place``: the first of them.

    ``compute`` makes the values of a stretch of the columns of ``looks``; None where it is a column itself.
    """

    def __init__(self, place: int, slot: int | None, fixed: Fixed | None) -> None:
        self.place = place
        self.slot = slot
        self.fixed = fixed
        self.looks: list[Look] = []
        self.compute: Callable[..., Any] | None = None
        self.asked: set[Look] = set()


class Lesson:
    """What is known ahead of the samples of a forecast: to which tapes columns and constants are appended.

    ``columns``: with the places on the sheet. ``rest``: the sources that are left for the learner.
    """

    __slots__ = ("columns", "constants", "rest", "tapes")

    def __init__(self) -> None:
        self.columns: list[tuple[Extend, int]] = []
        self.constants: list[tuple[Extend, float]] = []
        self.rest: list[Source] = []
        self.tapes: list[Tape] = []

    def learn(self, columns: Columns, size: int, known: dict[int, array[float]]) -> None:
        """Append what so many samples bring; ``columns`` are those of the sheet. Tapes are not made tidy.

        ``known``: some of the columns as arrays, which others have made; those that are made are added.
        """
        for extend, place in self.columns:
            column = known.get(place)
            if column is None:
                column = known[place] = array("d", columns[place])
            extend(column)
        for extend, value in self.constants:
            extend(array("d", (value,)) * size)


class Learner:
    """Of one rule. ``whole``: all its sources can be computed for a stretch at once."""

    def __init__(self, program: Program, bounds: Bounds) -> None:
        trees = program.trees
        self.whole = trees is not None
        self._program = program
        self._sources: list[Source] = []
        self._tape_of: dict[int, Source] = {}
        code = Code()
        names: dict[str, Source] = {}
        fed: dict[str, int] = {}
        for place, group in shared(program.windows).items() if trees is not None else ():
            spec = program.windows[place]
            if spec.event is not None or trees is None:
                continue
            self.whole &= not any(TIMES in program.windows[member].needs for member in group)
            source = Source(place, spec.slot, bounds.fixed(trees.sources[place]))
            for member in group:
                self._tape_of[member] = source
            self._sources.append(source)
            if source.slot is None:
                name = self._compile(code, source, trees.sources[place], dict(trees.lets), fed)
                if name is not None:
                    names[name] = source
                known = let(trees.sources[place])
                if known is not None:
                    fed.setdefault(known, place)
        if self.whole:
            made = code.build()
            for name, source in names.items():
                source.compute = made[name]

    def _compile(
        self, code: Code, source: Source, tree: ast.expr, lets: Mapping[str, ast.expr],
        fed: Mapping[str, int],
    ) -> str | None:  # fmt: skip
        flat = _Flat(lets, fed)
        try:
            body = flat.visit(tree)
        except TooLargeError:
            self.whole, flat.looks, body = False, {}, ast.Constant(0.0)
        source.looks = list(flat.looks)
        for look in source.looks:
            name, place = look
            if name == SLOTS:
                continue
            inner = self._tape_of.get(place)
            if inner is None or name not in _KNOWN or inner is source:
                self.whole = False
            else:
                inner.asked.add(look)
        if not source.looks:
            return code.of_nothing(body)
        return None if isinstance(body, ast.Name) else code.of_columns(len(source.looks), body)

    def ahead(self, case: Case, windows: Sequence[Window]) -> Lesson:
        """What can be said of all samples within the bounds of a case, while these are calm."""
        lesson = Lesson()
        for source in self._sources:
            tape = windows[source.place].tape
            if not self.whole or source.asked or not tape.plain:
                lesson.rest.append(source)
                continue
            fixed = None if source.fixed is None else source.fixed(case)
            if source.slot is not None:
                place = case.places[source.slot]
                if case.low[place] <= case.high[place]:
                    lesson.columns.append((tape.values.extend, place))
            elif fixed is None:
                lesson.rest.append(source)
                continue
            elif fixed - fixed == 0.0:
                lesson.constants.append((tape.values.extend, fixed))
            lesson.tapes.append(tape)
        return lesson

    def learn(
        self, case: Case, windows: Sequence[Window], columns: Columns, times: Sequence[int],
        some: Sequence[Source] | None = None,
    ) -> None:  # fmt: skip
        """Push what a stretch of calm samples brings, made at these times; ``some``: from these sources."""
        if not self.whole:
            self._in_turn(windows, columns, times)
            return
        size = len(times)
        seen: dict[Look, Sequence[Any]] = {}
        for source in self._sources if some is None else some:
            values, finite = self._values(source, case, columns, seen, size)
            if not source.asked:
                if finite:
                    windows[source.place].tape.extend(finite)
                continue
            for look in source.asked:
                seen[look] = _before(look[0], windows[look[1]], values, len(finite) == size)
            averages = [_smooth(windows[place]) for name, place in source.asked if name == EMA]
            windows[source.place].tape.extend(finite, averages)

    def _in_turn(self, windows: Sequence[Window], columns: Columns, times: Sequence[int]) -> None:
        sources = self._program.sources
        own = [windows[source.place].push for source in self._sources]
        rows = zip(*columns, strict=True) if columns else [()] * len(times)
        for time_ns, row in zip(times, rows, strict=True):
            for push, value in zip(own, sources(row, windows), strict=True):
                push(time_ns, value)

    def _values(
        self, source: Source, case: Case, columns: Columns, seen: Mapping[Look, Sequence[Any]], size: int
    ) -> tuple[Sequence[float], Sequence[float]]:
        """What is pushed, and those of it that enter a window."""
        if source.slot is not None:
            return _all_or_none(columns[source.slot])
        fixed = source.fixed(case) if source.fixed is not None else None
        if fixed is not None:
            return _all_or_none([fixed] * size)
        looks = [columns[place] if name == SLOTS else seen[name, place] for name, place in source.looks]
        if source.compute is None:
            return looks[0], _finite(looks[0])
        if not looks:
            return _all_or_none([source.compute()] * size)
        values = source.compute(*looks)
        return values, _finite(values)


def _all_or_none(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The values, and those that enter a window, where all are finite if the first is."""
    return values, values if values[0] - values[0] == 0.0 else ()


def _finite(values: Sequence[float]) -> Sequence[float]:
    """Those that enter a window."""
    total: float = sum(values)
    return values if total - total == 0.0 else [value for value in values if value - value == 0.0]


def _before(name: str, window: Window, values: Sequence[float], whole: bool) -> Sequence[float]:
    """What the window says before each of these values is pushed to it; ``whole``: all are finite."""
    if name == _VALUES:
        return values
    if name == EMA:
        return _averages(_smooth(window), values, whole)
    if name == "count":
        return _counts(window, values)
    if name == "first":
        return _firsts(window, values) if whole else _firsts_of_some(window, values)
    newest = window.last()
    if whole:
        return [newest, *values[:-1]]
    found = []
    for value in values:
        found.append(newest)
        if value - value == 0.0:
            newest = value
    return found


def _counts(window: Window, values: Sequence[float]) -> list[float]:
    held, keep, found = window.count(), float(window.keep), list[float]()
    if held == keep:
        return [keep] * len(values)
    for value in values:
        found.append(held)
        if value - value == 0.0 and held < keep:
            held += 1.0
    return found


def _firsts(window: Window, values: Sequence[float]) -> list[float]:
    """The oldest value that the window holds before each of these is pushed, all of them finite."""
    kept, keep, size = window.tape.values[-window.keep :], window.keep, len(values)
    held, come = len(kept), [*kept, *values]
    growing = min(size, keep - held + 1)
    found = [come[0]] * growing + come[1 : 1 + size - growing]
    if not held:
        found[0] = math.nan
    return found


def _firsts_of_some(window: Window, values: Sequence[float]) -> list[float]:
    come, keep, found = window.tape.values[-window.keep :], window.keep, []
    for value in values:
        found.append(come[max(0, len(come) - keep)] if come else math.nan)
        if value - value == 0.0:
            come.append(value)
    return found


def _smooth(window: Window) -> Smooth:
    """The average of a window by samples: those by time are never learnt at once."""
    average = window.average
    if not isinstance(average, Smooth):
        raise TypeError("expected an average by samples")
    return average


def _averages(average: Smooth, values: Sequence[float], whole: bool) -> list[float]:
    """What the average is before each; it takes them in."""
    if whole:
        return average.each(values)
    found = []
    for value in values:
        found.append(average.value)
        if value - value == 0.0:
            average.push(0, value)
    return found


class _Flat(ast.NodeTransformer):
    """A copy of an expression, lets put in their places, every look at a slot or a window an argument.

    ``fed``: the windows that a let feeds; their values are looked at rather than computed again.
    """

    def __init__(self, lets: Mapping[str, ast.expr], fed: Mapping[str, int]) -> None:
        self._lets = lets
        self._fed = fed
        self._room = MOST_NODES
        self.looks: dict[Look, int] = {}

    def visit(self, node: ast.AST) -> Any:
        """The copy of a node. Raises TooLargeError."""
        self._room -= 1
        if self._room < 0:
            raise TooLargeError
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        name = let(node)
        if name is None:
            return node
        place = self._fed.get(name)
        return self.visit(self._lets[name]) if place is None else self._argument((_VALUES, place))

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        place = index(node, SLOTS)
        return node if place is None else self._argument((SLOTS, place))

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute):
            place = index(node.func.value, WINDOWS)
            name = node.func.attr if not node.args else ""
            return self._argument((name, -1 if place is None else place))
        return ast.Call(node.func, [self.visit(one) for one in node.args], [])

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """A changed copy: the checked tree belongs to the rule."""
        fields = {name: self._copied(value) for name, value in ast.iter_fields(node)}
        return type(node)(**fields)

    def _copied(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._copied(one) for one in value]
        return self.visit(value) if isinstance(value, ast.AST) else value

    def _argument(self, look: Look) -> ast.expr:
        return ast.Name(f"_value_{self.looks.setdefault(look, len(self.looks))}", ast.Load())
