"""Screens: whether a rule can do anything but learn over a whole stretch of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from stream.rulelang.bounds import Bounds, Case
from stream.rulelang.learning import Learner, Lesson, Source
from stream.rulelang.model import Program
from stream.rulelang.windows import Window


class View(Enum):
    """What a screen says of a stretch."""

    PASSED_BY = auto()
    """None is a sample of the rule."""
    CALM = auto()
    """All are, and none matches."""
    UNSURE = auto()
    """They have to be judged one by one."""


class Screen:
    """Of one rule. ``usable`` is False where its samples always have to be judged one by one.

    ``flags``: for the slots that ask whether a value is there, the answer where it is known ahead.
    """

    def __init__(self, program: Program, flags: Mapping[int, bool | None]) -> None:
        trees = program.trees
        timed = any(spec.over_s is not None for spec in program.windows)
        self.usable = trees is not None and not timed
        if trees is None or timed:
            return
        bounds = Bounds(trees.lets, trees.sources, flags)
        where = trees.where
        self._some = None if where is None else bounds.may(where)
        self._all = None if where is None else bounds.surely(where)
        self._when = bounds.may(trees.when)
        self._learner = Learner(program, bounds)

    def view(self, case: Case) -> View:
        """What happens over this stretch, if the rule was calm before it."""
        if self._some is not None and self._all is not None:
            if not self._some(case):
                return View.PASSED_BY
            if not self._all(case):
                return View.UNSURE
        return View.UNSURE if self._when(case) else View.CALM

    def learn(
        self, case: Case, windows: Sequence[Window], columns: Sequence[Sequence[Any]], times: Sequence[int],
        some: Sequence[Source] | None = None,
    ) -> None:  # fmt: skip
        """Push what these calm samples bring to the windows; ``some``: from these sources alone."""
        self._learner.learn(case, windows, columns, times, some)

    def ahead(self, case: Case, windows: Sequence[Window]) -> Lesson:
        """What all samples within the bounds of a case, calm as they are, bring to the windows."""
        return self._learner.ahead(case, windows)
