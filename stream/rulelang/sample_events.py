"""Single events of a sample, each at its own time: ``events``."""

from __future__ import annotations

from typing import Final

from stream.rulelang import durations, fields
from stream.rulelang.errors import guess, one_of
from stream.rulelang.fields import DIAGNOSIS, EVENTS
from stream.rulelang.functions import NUMBER
from stream.rulelang.model import SampleEvent
from stream.rulelang.reader import Reader, as_duration
from stream.rulelang.sample_series import MAX_RANKS, Target
from stream.rulelang.tree import List, Mapping, Node, Scalar, kind

KEYS: Final = ("at", "event", "rank", "attempt", "step", "node", "role")
MAX_EVENTS: Final = 10_000


def read_events(reader: Reader, target: Target) -> tuple[SampleEvent, ...]:
    """The events in the order of the file; every mistake is in the reader's problems."""
    node = reader.typed(
        "events", List, "a list such as [{at: 5s, event: train.lifecycle, lifecycle.state: failed}]"
    )
    if node is None:
        return ()
    if len(node.items) > MAX_EVENTS:
        reader.fail(node, f"expected at most {MAX_EVENTS:,} events, got {len(node.items):,}")
        return ()
    return tuple(made for item in node.items if (made := _event(reader, item, target)) is not None)


def _event(reader: Reader, node: Node, target: Target) -> SampleEvent | None:
    if not isinstance(node, Mapping):
        wanted = "an event such as {at: 5s, event: train.step, loss: 3}"
        reader.fail(node, f"expected {wanted}, got {kind(node)}")
        return None
    inner = Reader(node, reader.problems, "an event of a sample")
    at = inner.required("at")
    seconds = as_duration(at) if at is not None else 0.0
    if at is not None and seconds is None:
        inner.fail(at, f"expected `at` to be {durations.EXPECTED}, got {kind(at)}")
    name = inner.text("event", required=True)
    known = [event for event in EVENTS if event != DIAGNOSIS]
    if name is None or name.text not in known:
        if name is not None:
            hint = guess(name.text, known)
            inner.fail(name, f'expected `event` to be one of {one_of(known)}, got "{name.text}"{hint}')
        return None
    where, role = inner.text("node"), inner.text("role")
    return SampleEvent(
        seconds or 0.0, name.text, _whole(inner, "rank", MAX_RANKS) or 0, _whole(inner, "attempt", 1000) or 0,
        _whole(inner, "step", 1 << 53), where.text if where else None, role.text if role else None,
        _values(inner, name.text, target),
    )  # fmt: skip


def _whole(inner: Reader, key: str, most: int) -> int | None:
    node = inner.get(key)
    if node is None:
        return None
    if isinstance(node, Scalar) and type(node.value) is int and 0 <= node.value <= most:
        return node.value
    inner.fail(node, f"expected `{key}` to be a whole number, got {kind(node)}")
    return None


def _values(inner: Reader, event: str, target: Target) -> dict[tuple[str, str], float | str]:
    """The event's own fields; a name beyond the vocabulary is taken as it is."""
    found: dict[tuple[str, str], float | str] = {}
    for name, node in inner.node.values.items():
        if name in KEYS:
            continue
        made = target.find(f"{event}.{name}")
        field = made[1] if made else fields.logged(name)
        value = node.value if isinstance(node, Scalar) else None
        number = _number(node)
        if made is None and guess(name, EVENTS[event]):
            inner.fail(inner.node.keys[name], f"{event} has no {name!r}{guess(name, EVENTS[event])}")
        elif (field.type == NUMBER or made is None) and number is not None:
            found[field.slot.place, field.slot.name] = number
        elif (field.type != NUMBER or made is None) and isinstance(value, str):
            found[field.slot.place, field.slot.name] = value
        else:
            inner.fail(node, f"expected `{name}` to be a {field.type}, got {kind(node)}")
    return found


def _number(node: Node) -> float | None:
    """A number, or the words of the series notation for those that YAML has none for."""
    if not isinstance(node, Scalar) or isinstance(node.value, bool):
        return None
    if isinstance(node.value, (int, float)):
        return float(node.value)
    return float(node.text) if node.text in ("NaN", "Inf", "-Inf", "+Inf") else None
