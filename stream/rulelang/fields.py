"""What each event offers to expressions: names, types, and what a value can be, from the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emitter.vocabulary import attributes, diagnoses, events, metrics
from stream.rulelang.functions import NUMBER, TEXT
from stream.rulelang.model import Slot

DIAGNOSIS: Final = "diagnosis"
"""What rules of rules are on: transitions of other rules of the same run."""
ATTRIBUTE: Final = "attribute."
"""Before the name of a metric point's attribute."""
_POINT_NAMES: Final = frozenset({"value", "count", "sum", "min", "max"})
"""Attributes of these names travel as ``attributes.NAME``: the point has them itself."""


@dataclass(frozen=True)
class Field:
    """One name: its type, the slot that reads it, and what it can hold.

    ``words``: the values a text may have, all of them if ``closed``; ``low`` and ``high`` bound a number.
    """

    type: str
    slot: Slot
    words: tuple[str, ...] = ()
    closed: bool = False
    low: float = -math.inf
    high: float = math.inf


def _number(place: str, name: str, low: float = -math.inf, high: float = math.inf) -> Field:
    return Field(NUMBER, Slot(place, name, "number"), low=low, high=high)


def _text(
    place: str, name: str, words: tuple[str, ...] = (), *, closed: bool = False, optional: bool = False
) -> Field:
    return Field(TEXT, Slot(place, name, "text", optional), words, closed)


def _numbers(*names: str) -> dict[str, Field]:
    return {name: _number("value", name) for name in names}


def _texts(*names: str) -> dict[str, Field]:
    return {name: _text("value", name) for name in names}


_COMMON: Final[Mapping[str, Field]] = {
    **{name: _number("resource", name, low=0) for name in ("rank", "local_rank", "world_size", "attempt")},
    **{name: _text("resource", name) for name in ("run", "run_name", "node", "role")},
    "step": _number("event", "step"),
    "epoch": _number("event", "epoch"),
}

_KIND: Final = _text("value", events.CHECKPOINT_KIND, ("regular", "forensic"), closed=True)
_CHECKPOINT: Final[Mapping[str, Field]] = {
    **_numbers(events.CHECKPOINT_STEP),
    **_texts(events.CHECKPOINT_PATH),
    events.CHECKPOINT_KIND: _KIND,
}
_SPAN: Final[Mapping[str, Field]] = {
    **_CHECKPOINT,
    "duration": _number("value", "duration", low=0),
    events.CHECKPOINT_BYTES: _number("value", events.CHECKPOINT_BYTES, low=0),
    events.CHECKPOINT_VERIFIED: _number("value", events.CHECKPOINT_VERIFIED, 0, 1),
    events.CHECKPOINT_CHECKSUM: _text("value", events.CHECKPOINT_CHECKSUM, optional=True),
    "status": _text("event", "status", ("unset", "ok", "error"), closed=True),
    "body": _text("event", "body", optional=True),
}
_PHASE: Final = _text("value", attributes.PHASE, events.PHASES)
_AGE: Final = _number("value", events.PROGRESS_AGE, low=0)


def _metric(metric: metrics.Metric) -> Field:
    share = "(0 to 1)" in metric.meaning or metric.name == "clip_fraction"
    return _number("value", metric.name, *((0, 1) if share else ()))


def _metrics(event: str) -> dict[str, Field]:
    return {one.name: _metric(one) for one in metrics.METRICS if one.event == event and one.name != "epoch"}


def _optional_texts(*names: str) -> dict[str, Field]:
    return {name: _text("value", name, optional=True) for name in names}


EVENTS: Final[Mapping[str, Mapping[str, Field]]] = {
    events.STEP: {**_COMMON, **_metrics(events.STEP)},
    events.EVAL: {**_COMMON, **_metrics(events.EVAL)},
    events.RESOURCE: {**_COMMON, **_metrics(events.RESOURCE), **_optional_texts("hw.id", "hw.name")},
    events.HEARTBEAT: {
        **_COMMON,
        "phase": _PHASE, attributes.PHASE: _PHASE,
        "progress_age": _AGE, events.PROGRESS_AGE: _AGE,
    },
    events.LOG: {
        **_COMMON,
        "body": _text("event", "body"),
        "severity": _number("event", "severity", 0, 24),
        **_optional_texts("logger.name", events.EXCEPTION_TYPE, events.EXCEPTION_MESSAGE),
    },
    events.STACK: {
        **_COMMON,
        "body": _text("event", "body"),
        **_optional_texts("stack.reason", "command.id"),
    },
    events.LIFECYCLE: {
        **_COMMON,
        events.LIFECYCLE_STATE: _text("value", events.LIFECYCLE_STATE, events.LIFECYCLE_STATES, closed=True),
        **_texts(events.EXCEPTION_TYPE, events.EXCEPTION_MESSAGE),
        **_numbers(events.EXIT_CODE, events.EXIT_SIGNAL),
        **_optional_texts(
            events.EXIT_CAUSE, events.SUPERVISOR_REASON, events.SUPERVISOR_RESUME, events.STACK_GROUPS,
            events.STACK_ODD,
        ),
    },
    events.CHECKPOINT_STARTED: {**_COMMON, **_CHECKPOINT},
    **{span: {**_COMMON, **_SPAN} for span in events.SPANS},
    events.METRIC: {**_COMMON, "metric": _text("event", "metric"), "value": _number("value", "value")},
    DIAGNOSIS: {
        **_COMMON,
        **_texts("rule", "summary"),
        "category": _text("value", "category", tuple(sorted(diagnoses.CATEGORIES))),
        "severity": _text("value", "severity", diagnoses.SEVERITIES, closed=True),
        "state": _text("value", "state", (diagnoses.FIRING, diagnoses.RESOLVED), closed=True),
    },
}  # fmt: skip
"""The events rules may run on, with the names each offers."""

# Names a summary may show besides fields, params and let values.
SHOWN: Final = frozenset({"run", "run_name", "attempt", "rank", "node", "role", "step", "epoch"})
BEGAN: Final = "began"
"""A `let` of this name: the step at which the trouble began, where the first matching sample comes later."""
RESERVED: Final = frozenset({"since_step", "late_s", "reason", "text", "silent", "line", *SHOWN})


def find(event: str, name: str) -> Field | None:
    """The field of this name that such an event may carry, or None."""
    known = EVENTS.get(event, {}).get(name)
    if known is None and event == events.METRIC and name.startswith(ATTRIBUTE) and name != ATTRIBUTE:
        own = name[len(ATTRIBUTE) :]
        return _text("value", f"attributes.{own}" if own in _POINT_NAMES else own)
    return known


def logged(name: str) -> Field:
    """A number under a name of the user's own, as ``field("name")`` reaches it."""
    return _number("value", metrics.canonical(name))


def group(name: str) -> Field:
    """A named group of ``match``; "" where the pattern that matched has none of it."""
    return _text("group", name)


def split(name: str) -> tuple[str, str] | None:
    """``EVENT.FIELD`` as its two parts, or None where it begins with no event."""
    event = max((one for one in EVENTS if name.startswith(f"{one}.")), key=len, default=None)
    return None if event is None else (event, name[len(event) + 1 :])
