"""Exponential averages: all the past in a few numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence


class Smooth:
    """By sample: alpha = 2 / (N + 1), beginning with the first value."""

    __slots__ = ("_alpha", "value")

    def __init__(self, last: int) -> None:
        self._alpha = 2.0 / (last + 1)
        self.value = math.nan

    def push(self, _time_ns: int, value: float) -> None:
        """Take in a finite value."""
        # Two products rather than a difference: that could overflow.
        alpha, old = self._alpha, self.value
        self.value = value if old != old else (1.0 - alpha) * old + alpha * value

    def extend(self, values: Sequence[float]) -> None:
        """Take in several finite values."""
        # The same products as in push, without a call for each.
        alpha, rest, old = self._alpha, 1.0 - self._alpha, self.value
        for value in values:
            old = value if old != old else rest * old + alpha * value
        self.value = old

    def each(self, values: Sequence[float]) -> list[float]:
        """Take in several finite values; what it is before each of them."""
        alpha, rest, old = self._alpha, 1.0 - self._alpha, self.value
        found = []
        for value in values:
            found.append(old)
            old = value if old != old else rest * old + alpha * value
        self.value = old
        return found

    def save(self) -> list[float]:
        """The state."""
        return [self.value]

    def load(self, saved: list[float]) -> None:
        """The state that was saved."""
        (self.value,) = saved


class Decay:
    """By time: the mean of all values, each weighted exp(-age / tau); values of one time weigh the same."""

    __slots__ = ("_tau_ns", "_time_ns", "_weight", "value")

    def __init__(self, tau_s: float) -> None:
        self._tau_ns = tau_s * 1e9
        self._time_ns = 0
        self._weight = 0.0
        self.value = math.nan

    def push(self, time_ns: int, value: float) -> None:
        """Take in a finite value; one from before the newest counts as of the same time."""
        if not self._weight:
            self._time_ns, self._weight, self.value = time_ns, 1.0, value
            return
        age = max(0, time_ns - self._time_ns)
        self._time_ns += age
        self._weight = self._weight * math.exp(-age / self._tau_ns) + 1.0
        share = 1.0 / self._weight
        self.value = (1.0 - share) * self.value + share * value

    def save(self) -> list[float]:
        """The state."""
        return [self.value, self._weight, self._time_ns]

    def load(self, saved: list[float]) -> None:
        """The state that was saved."""
        self.value, self._weight, time_ns = saved
        self._time_ns = int(time_ns)
