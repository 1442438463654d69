"""What an event offers to expressions: names and types, from the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emitter.vocabulary import events, metrics
from stream.rulelang.functions import NUMBER, TEXT
from stream.rulelang.model import Slot

LINE: Final = events.LOG


@dataclass(frozen=True)
class Field:
    """One name: its type, and the slot that reads it."""

    type: str
    slot: Slot


def _field(place: str, name: str, kind: str) -> Field:
    return Field(kind, Slot(place, name, "number" if kind == NUMBER else "text"))


def _values(kind: str, *names: str) -> dict[str, Field]:
    return {name: _field("value", name, kind) for name in names}


_COMMON: Final[Mapping[str, Field]] = {
    **{name: _field("resource", name, NUMBER) for name in ("rank", "local_rank", "world_size", "attempt")},
    **{name: _field("resource", name, TEXT) for name in ("run", "run_name", "node", "role")},
    **{name: _field("event", name, NUMBER) for name in ("step", "epoch")},
}

_SPAN: Final[Mapping[str, Field]] = {
    **_values(NUMBER, "duration", events.CHECKPOINT_STEP, events.CHECKPOINT_BYTES),
    **_values(TEXT, events.CHECKPOINT_PATH, events.CHECKPOINT_KIND),
    "status": _field("event", "status", TEXT),
}


def _metrics(event: str) -> dict[str, Field]:
    names = [metric.name for metric in metrics.METRICS if metric.event == event and metric.name != "epoch"]
    return _values(NUMBER, *names)


EVENTS: Final[Mapping[str, Mapping[str, Field]]] = {
    events.STEP: {**_COMMON, **_metrics(events.STEP)},
    events.EVAL: {**_COMMON, **_metrics(events.EVAL)},
    events.LOG: {
        **_COMMON,
        "body": _field("event", "body", TEXT),
        "severity": _field("event", "severity", NUMBER),
    },
    events.LIFECYCLE: {
        **_COMMON,
        **_values(TEXT, events.LIFECYCLE_STATE, events.EXCEPTION_TYPE, events.EXCEPTION_MESSAGE),
        **_values(NUMBER, events.EXIT_CODE, events.EXIT_SIGNAL),
    },
    **{span: {**_COMMON, **_SPAN} for span in events.SPANS},
}  # fmt: skip
"""The events rules may run on, with the names each offers."""

NOT_YET: Final = frozenset(
    {events.RESOURCE, events.HEARTBEAT, events.STACK, events.CHECKPOINT_STARTED, events.METRIC, "diagnosis"}
)

# Names a summary may show besides fields, params and let values.
SHOWN: Final = frozenset(
    {"run", "run_name", "attempt", "rank", "node", "role", "step", "epoch", "severity", "line"}
)
RESERVED: Final = frozenset({"since_step", "reason", "text", *SHOWN})


def logged(name: str) -> Field:
    """A number under a name of the user's own, as ``field("name")`` reaches it."""
    return _field("value", metrics.canonical(name), NUMBER)


def group(name: str) -> Field:
    """A named group of ``match``."""
    return _field("group", name, TEXT)
