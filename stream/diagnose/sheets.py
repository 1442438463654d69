"""Sheets: everything the rules on one kind of event read of it, read once for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final

from stream.diagnose.reading import CONVERT, MISSING, NO_GROUPS, raw
from stream.diagnose.unknown import UNKNOWN
from stream.events import Event, Resource
from stream.rulelang.model import Slot
from stream.rulelang.numbers import as_float

ABSENT: Final = object()
"""Stands in a sheet for what an event does not have; a rule that needs it has no sample."""
_FLOATS: Final = {float}
_NUMBERS: Final = {float, int, bool}

Pick = Callable[[Sequence[Any]], Sequence[Any]]


class Sheet:
    """The slots of several rules, for events that have just these ``names`` of values, in this order."""

    __slots__ = (
        "_among", "_bounds", "_constants", "_flags", "_numbers", "_others", "_places", "_size", "_stands",
        "_sure",
    )  # fmt: skip

    def __init__(self, slots: Iterable[Slot], names: Collection[str]) -> None:
        kinds: dict[str, list[Slot]] = {"number": [], "has": [], "constant": [], "other": []}
        for slot in dict.fromkeys(slots):
            kinds[_kind(slot, names)].append(slot)
        numbers, flags, constants, others = kinds.values()
        read = {slot.name for slot in numbers}
        numbers += [Slot("value", slot.name, "number", True) for slot in flags if slot.name not in read]
        self._places = {slot: place for place, slot in enumerate([*numbers, *flags, *constants, *others])}
        self._numbers = taker([slot.name for slot in numbers])
        order = list(names)
        self._among = [order.index(slot.name) for slot in numbers]
        self._size = len(numbers)
        self._flags = tuple(slot.name for slot in flags)
        self._stands = tuple(_stand_in(slot) for slot in numbers)
        self._constants = [_stand_in(slot) for slot in constants]
        self._sure = [True] * len(flags) + self._constants
        self._bounds = [_extremes([one]) for one in self._sure]
        self._others = tuple((slot.place, slot.name, CONVERT[slot.kind], _stand_in(slot)) for slot in others)

    def pick(self, slots: Sequence[Slot]) -> Pick:
        """A function that takes these slots from what ``read`` gave."""
        places = [self._places[slot] for slot in slots]
        first = places[0] if places else 0
        if places == list(range(first, first + len(places))):
            return itemgetter(slice(first, first + len(places)))
        return itemgetter(*places)

    def place(self, slot: Slot) -> int:
        """Where this slot stands."""
        return self._places[slot]

    def ahead(self) -> list[Any]:
        """What ``read`` will give, with UNKNOWN for all that depends on the event."""
        found = [UNKNOWN] * len(self._places)
        begin = self._size + len(self._flags)
        found[begin : begin + len(self._constants)] = self._constants
        return found

    def read(self, event: Event, resource: Resource) -> tuple[list[Any], bool]:
        """The value of every slot, and whether one is ABSENT."""
        values = event.values
        found: list[Any] = list(self._numbers(values))
        holes = False
        if set(map(type, found)) == _FLOATS:
            found += self._sure
        else:
            holes = self._convert(found)
            found += [values[name] is not None for name in self._flags]
            found += self._constants
        for place, name, convert, stand_in in self._others:
            value = convert(
                values.get(name) if place == "value" else raw(place, name, event, resource, NO_GROUPS)
            )
            if value is None:
                value, holes = stand_in, holes or stand_in is ABSENT
            found.append(value)
        return found, holes

    def columns(
        self, events: Sequence[Event], values: Sequence[Sequence[Any]], resource: Resource
    ) -> list[Sequence[Any]] | None:
        """What every slot reads of these events; None unless numbers are finite, or not there at all.

        ``values``: the columns of all values that such events have, in their order.
        """
        found: list[Sequence[Any]] = []
        for place in self._among:
            column = _floats(values[place])
            if column is None:
                return None
            found.append(column)
        size = len(events)
        found += [[one] * size for one in self._sure]
        for where, name, convert, stand_in in self._others:
            other = _others(where, name, convert, stand_in, events, resource)
            if other is None:
                return None
            found.append(other)
        return found

    def extremes(self, columns: Sequence[Sequence[Any]]) -> tuple[list[Any], list[Any]]:
        """The least and the greatest of each column, both None for texts; turned round where no number is."""
        low: list[Any] = [min(column) for column in columns[: self._size]]
        high: list[Any] = [max(column) for column in columns[: self._size]]
        read = self._size + len(self._sure)
        for least, most in [*self._bounds, *map(_extremes, columns[read:])]:
            low.append(least)
            high.append(most)
        return low, high

    def _convert(self, found: list[Any]) -> bool:
        """Make numbers of them; whether one is now ABSENT."""
        for place, value in enumerate(found):
            number = as_float(value)
            found[place] = self._stands[place] if number is None else number
        return ABSENT in found


def _floats(column: Sequence[Any]) -> Sequence[float] | None:
    """The column as finite floats, None where it has anything else."""
    kinds = set(map(type, column))
    if kinds != _FLOATS:
        if not kinds <= _NUMBERS:
            return None
        try:
            column = list(map(float, column))
        except OverflowError:
            return None
    total: float = sum(column)
    return column if total - total == 0.0 else None


def _others(
    place: str, name: str, convert: Callable[[Any], Any], stand_in: Any, events: Sequence[Event],
    resource: Resource,
) -> Sequence[Any] | None:  # fmt: skip
    """The column of what is no plain number among the values; None where some have it and others do not."""
    if place == "event":
        given = list(map(attrgetter(name), events))
    elif place == "value":
        given = [event.values.get(name) for event in events]
    else:
        given = [raw(place, name, events[0], resource, NO_GROUPS)] * len(events)
    if convert is as_float and None not in given:
        return _floats(given)
    column = [convert(value) for value in given]
    if all(value is None for value in column):
        return None if stand_in is ABSENT else [stand_in] * len(column)
    return None if None in column else column


def _extremes(column: Sequence[Any]) -> tuple[Any, Any]:
    first = column[0]
    if isinstance(first, bool):
        return all(column), any(column)
    if not isinstance(first, float):
        return None, None
    return (min(column), max(column)) if first == first else (math.inf, -math.inf)


def taker(places: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """A function that takes what stands in these places: itemgetter for any number of them."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda found: [found[place] for place in places]


def _kind(slot: Slot, names: Collection[str]) -> str:
    """How a slot is read; what such events do not carry is known ahead."""
    if slot.place != "value":
        return "other"
    if slot.name not in names:
        return "constant"
    return slot.kind if slot.kind in ("number", "has") else "other"


def _stand_in(slot: Slot) -> Any:
    return MISSING[slot.kind] if slot.optional else ABSENT
