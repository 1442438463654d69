"""Deciding ahead: what a condition says whatever the values turn out to be.

A condition is tried with a stand-in for every value that is not known yet. It either comes to an answer
without looking at one, which then holds for every event, or it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

Sources = Callable[[Sequence[Any], Sequence[Any]], tuple[float, ...]]


class _Unknown:
    """Any use of it but passing it on is a TypeError."""

    def _used(self, *_: Any) -> NoReturn:
        raise TypeError("the value is not known yet")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _used
    __mod__ = __rmod__ = __pow__ = __neg__ = __pos__ = __abs__ = __float__ = __int__ = __index__ = _used
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __bool__ = __contains__ = __len__ = _used
    __getattr__ = __iter__ = __getitem__ = __call__ = __hash__ = __str__ = __repr__ = __format__ = _used


UNKNOWN: Final[Any] = _Unknown()


def known(condition: Callable[[Sequence[Any]], bool], slots: Sequence[Any]) -> bool | None:
    """Whether a condition on slots always holds (or never), None where it looks at one that is UNKNOWN."""
    try:
        return bool(condition(slots))
    except TypeError:
        return None


def constants(sources: Sources, slots: Sequence[Any]) -> tuple[float, ...] | None:
    """The values that windows always get, None where one depends on what is UNKNOWN."""
    try:
        return tuple(float(value) for value in sources(slots, UNKNOWN))
    except TypeError:
        return None
