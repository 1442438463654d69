"""Where two series part: the first step at which they differ by more than their noise. Pure."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 10
ERRORS: Final = 5.0
LASTING: Final = 3
CLEAR: Final = 3.0
"""Times the noise by which the first step differs."""
SAME: Final = 1e-9
"""Relative difference below which values are the same."""
_NORMAL: Final = 1.4826
"""A median absolute deviation as a standard deviation of normal noise."""

METHOD: Final = (
    f"Two runs part where the median difference of {WINDOW} common steps is more than {ERRORS:g} standard"
    f" errors from zero, and stays so with the same sign for {WINDOW * LASTING} steps: at the first of these"
    f" steps that differs by more than {CLEAR:g} times the noise. The noise is the median absolute change of"
    " the difference from step to step, as a standard deviation. Of a step made twice the newer value counts;"
    " a value that is not finite on one side alone parts them at once."
)


@dataclass(frozen=True)
class Divergence:
    """``common``: steps that both have; ``same_until``: the last of the first ones at which both are equal;
    ``step``: where they part, None where they do not; ``noise`` of the difference, None where not known.
    """

    common: int
    same_until: int | None = None
    step: int | None = None
    difference: float | None = None
    noise: float | None = None
    why: str = ""


def diverge(one: Mapping[int, float], other: Mapping[int, float]) -> Divergence:
    """Where the other series leaves the one, by step."""
    steps = sorted(one.keys() & other.keys())
    odd = next((step for step in steps if math.isfinite(one[step]) != math.isfinite(other[step])), None)
    whole = [step for step in steps if math.isfinite(one[step]) and math.isfinite(other[step])]
    differences = [other[step] - one[step] for step in whole]
    same = _same_until(whole, one, other)
    if len(whole) < 2 * WINDOW:
        why = f"too few common steps ({len(whole)}) to tell a difference from noise"
        return Divergence(
            len(steps), same, odd, None, None, "not finite on one side" if odd is not None else why
        )
    noise = _noise(differences)
    place = _first(differences, max(noise, SAME * statistics.median(abs(one[step]) for step in whole)))
    if odd is not None and (place is None or odd <= whole[place]):
        return Divergence(len(steps), same, odd, None, noise, "not finite on one side")
    if place is None:
        return Divergence(len(steps), same, None, None, noise, "no difference beyond the noise")
    middle = statistics.median(differences[place : place + WINDOW])
    first = next(
        (
            n
            for n in range(place, place + WINDOW)
            if differences[n] / middle > 0 and abs(differences[n]) > CLEAR * noise
        ),
        place,
    )
    side = "above" if middle > 0 else "below"
    return Divergence(len(steps), same, whole[first], middle, noise, f"{side} from there on")


def _same_until(steps: Sequence[int], one: Mapping[int, float], other: Mapping[int, float]) -> int | None:
    equal = itertools.takewhile(lambda step: math.isclose(one[step], other[step], rel_tol=SAME), steps)
    return max(equal, default=None)


def _noise(differences: Sequence[float]) -> float:
    """Of the difference at one step; a trend or a part that lies elsewhere does not count."""
    changes = [later - before for before, later in itertools.pairwise(differences)]
    middle = statistics.median(changes)
    return _NORMAL * statistics.median(abs(change - middle) for change in changes) / math.sqrt(2)


def _first(differences: Sequence[float], noise: float) -> int | None:
    limit = ERRORS * noise / math.sqrt(WINDOW)
    places = range(len(differences) - WINDOW + 1)
    middles = [statistics.median(differences[place : place + WINDOW]) for place in places]
    for place, middle in enumerate(middles):
        if abs(middle) > limit:
            after = middles[place : place + LASTING * WINDOW : WINDOW]
            if all(abs(later) > limit and (later > 0) == (middle > 0) for later in after):
                return place
    return None
