"""Sheets: everything the rules on one kind of event read of it, read once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from stream.diagnose.reading import CONVERT, MISSING, NO_GROUPS, raw
from stream.diagnose.unknown import UNKNOWN
from stream.events import Event, Resource
from stream.rulelang.model import Slot
from stream.rulelang.numbers import as_float

ABSENT: Final = object()
"""Stands in a sheet for what an event does not have; a rule that needs it has no sample."""
_FLOATS: Final = {float}

Pick = Callable[[list[Any]], Sequence[Any]]


class Sheet:
    """The slots of several rules, for events that have just these ``names`` of values."""

    __slots__ = ("_constants", "_flags", "_numbers", "_others", "_places", "_size", "_stands", "_sure")

    def __init__(self, slots: Iterable[Slot], names: Collection[str]) -> None:
        kinds: dict[str, list[Slot]] = {"number": [], "has": [], "constant": [], "other": []}
        for slot in dict.fromkeys(slots):
            kinds[_kind(slot, names)].append(slot)
        numbers, flags, constants, others = kinds.values()
        read = {slot.name for slot in numbers}
        numbers += [Slot("value", slot.name, "number", True) for slot in flags if slot.name not in read]
        self._places = {slot: place for place, slot in enumerate([*numbers, *flags, *constants, *others])}
        self._numbers = taker([slot.name for slot in numbers])
        self._size = len(numbers)
        self._flags = tuple(slot.name for slot in flags)
        self._stands = tuple(_stand_in(slot) for slot in numbers)
        self._constants = [_stand_in(slot) for slot in constants]
        self._sure = [True] * len(flags) + self._constants
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

    def _convert(self, found: list[Any]) -> bool:
        """Make numbers of them; whether one is now ABSENT."""
        for place, value in enumerate(found):
            number = as_float(value)
            found[place] = self._stands[place] if number is None else number
        return ABSENT in found


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
