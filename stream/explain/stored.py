"""Values as they were sent, from the texts that history keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from emitter.vocabulary.attributes import EPOCH, SEQ, STEP
from stream.events import Value
from stream.offline.numbers import value_of, whole_of
from stream.otlp.points import ATTRIBUTE_PREFIX, OWN_NAMES, VALUE
from stream.rulelang import fields
from stream.rulelang.functions import TEXT

_TRUTH: Final = {"true": True, "false": False}


def values_of(event: str, attributes: Mapping[str, str]) -> dict[str, Value]:
    """Attributes by name; what the vocabulary calls a text stays one, whatever it spells."""
    return {
        name: _value(event, name, text) for name, text in attributes.items() if name not in (SEQ, STEP, EPOCH)
    }


def _value(event: str, name: str, text: str) -> Value:
    field = fields.find(event, name)
    if field is not None and field.type == TEXT:
        return text
    return _TRUTH.get(text, value_of(text))


def step_of(attributes: Mapping[str, str]) -> int | None:
    """The step in the attributes."""
    return whole_of(attributes.get(STEP))


def epoch_of(attributes: Mapping[str, str]) -> float | None:
    """The epoch in the attributes."""
    epoch = value_of(attributes.get(EPOCH))
    return float(epoch) if isinstance(epoch, (int, float)) else None


def point_of(
    attributes: Mapping[str, str], value: float | None, distribution: Mapping[str, Any],
    quantiles: Iterable[tuple[float, float]],
) -> dict[str, Value]:  # fmt: skip
    """The values of a metric's data point, as ``stream.otlp.points`` makes them; empty where it has none.

    ``distribution``: ``count sum min max``, which mean something where there is no ``value``.
    """
    own: dict[str, Value] = {VALUE: value}
    if value is None:
        own = {name: number for name, number in distribution.items() if number is not None}
        own |= {f"quantile.{share:g}": number for share, number in quantiles}
    texts: dict[str, Value] = {
        (ATTRIBUTE_PREFIX + name if name in OWN_NAMES else name): text for name, text in attributes.items()
    }
    return {**texts, **own}
