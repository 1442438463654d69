"""Flat records (a JSON object, a row) to points: which key is the step, the time, an eval's number."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from emitter.vocabulary import events
from emitter.vocabulary.metrics import BY_NAME, canonical
from stream.events import Value
from stream.offline.numbers import time_of, value_of, whole_of
from stream.offline.points import Point

STEP_KEYS: Final = (
    "step", "global_step", "iteration", "iter", "_step", "Step", "trainer/global_step", "train/global_step",
    "num_updates", "train_num_updates", "valid_num_updates",
)  # fmt: skip
TIME_KEYS: Final = ("time", "timestamp", "_timestamp", "wall_time", "Wall time", "ts")
BODY_KEYS: Final = ("body", "message", "msg", "log")
EPOCH_KEYS: Final = ("epoch", "train/epoch", "Epoch")
_EVAL: Final = ("eval", "val", "valid", "validation")
_EVAL_STARTS: Final = tuple(f"{word}{mark}" for word in _EVAL for mark in ("_", "/", " ", "."))
_OWN: Final = ("rank", "run", "attempt", "role", "node", "event", "severity")
_SUMMARY: Final = "train_runtime"
"""Hugging Face ends a history with means over the whole training: no step."""
_EVENTS: Final = frozenset((*events.LOG_EVENTS, *events.SPANS, events.METRIC))
_NUMBERS: Final = frozenset((float, int))
MAX_PLANS: Final = 1000


@lru_cache(maxsize=4096)
def name_of(key: str) -> str:
    """The canonical name of a logged key, whatever its case and whether it is written with spaces."""
    name = canonical(key)
    if name != key or name in BY_NAME:
        return name
    for spelling in (key.lower(), key.lower().replace(" ", "_")):
        name = canonical(spelling)
        if name in BY_NAME:
            return name
    return key


def is_eval(key: str) -> bool:
    """Whether this key is an evaluation's number."""
    return key.startswith(_EVAL_STARTS) or name_of(key).startswith("eval_")


class _Plan:
    """What is what in records with exactly these keys."""

    __slots__ = (
        "body", "epoch", "evals", "own", "plain", "renamed", "step", "summary", "time", "values",
    )  # fmt: skip

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.step = next((key for key in STEP_KEYS if key in keys), None)
        self.time = next((key for key in TIME_KEYS if key in keys), None)
        self.body = next((key for key in BODY_KEYS if key in keys), None)
        self.epoch = next((key for key in EPOCH_KEYS if key in keys), None)
        self.own = tuple(key for key in _OWN if key in keys)
        self.summary = _SUMMARY in keys
        ours = {self.step, self.time, self.body, self.epoch, *self.own}
        rest = [key for key in keys if key not in ours]
        self.evals = _named([key for key in rest if is_eval(key)])
        self.values = _named([key for key in rest if not is_eval(key)])
        self.renamed = tuple((key, name) for key, name in self.values if key != name)
        self.plain = not (self.own or self.body or self.evals or self.summary)


def _named(keys: list[str]) -> tuple[tuple[str, str], ...]:
    """Each key with its canonical name; a name that is logged itself wins over its aliases."""
    taken: set[str] = set()
    found = []
    for key in keys:
        name = name_of(key)
        if name != key and (name in keys or name in taken):
            name = key
        taken.add(name)
        found.append((key, name))
    return tuple(found)


class Flat:
    """Reads records, and takes them over; knows the shapes it has seen."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def points(self, record: dict[str, Any], line: int, clock: str = "") -> list[Point]:
        """The step, the eval and the log line in one record, whichever of them are there."""
        keys = tuple(record)
        plan = self._plans.get(keys)
        if plan is None:
            if any(isinstance(value, dict) for value in record.values()):
                return self.points(_flattened(record), line, clock)
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[keys] = _Plan(keys)
        step = record.pop(plan.step) if plan.step is not None else None
        if type(step) is not int and step is not None:
            step = whole_of(step)
        time = time_of(record.pop(plan.time)) if plan.time is not None else None
        epoch = record.pop(plan.epoch) if plan.epoch is not None else None
        if type(epoch) is not float and epoch is not None:
            epoch = _number(epoch)
        if plan.plain:
            values = _numbers(record, plan)
            return [Point(events.STEP, values, step, epoch, time, line=line, clock=clock)] if values else []
        return self._several(record, plan, Point("", {}, step, epoch, time, line=line, clock=clock))

    def _several(self, record: Mapping[str, Any], plan: _Plan, like: Point) -> list[Point]:
        if plan.summary:
            return []
        for key in plan.own:
            _own(like, key, record[key])
        body = record[plan.body] if plan.body is not None else None
        body = body if isinstance(body, str) else None
        if like.name:
            like.status, like.metric = _told(record, "status"), _told(record, "metric")
            return [_made(like, like.name, _read(record, (*plan.values, *plan.evals)), body)]
        step, evals = _read(record, plan.values), _read(record, plan.evals)
        found = [_made(like, events.STEP, step, None)] if step else []
        if evals:
            found.append(_made(like, events.EVAL, evals, None))
        if body:
            found.append(_made(like, events.LOG, {}, body))
        return found


def _numbers(record: dict[str, Any], plan: _Plan) -> dict[str, Value]:
    """What is left of a plain record, which is mostly numbers under their canonical names already."""
    if not _NUMBERS.issuperset(map(type, record.values())):
        return _read(record, plan.values)
    for key, name in plan.renamed:
        record[name] = record.pop(key)
    return record


def _own(point: Point, key: str, raw: Any) -> None:
    """Set what a record says of itself; what makes no sense is left unknown."""
    if key == "rank":
        point.rank = whole_of(raw)
    elif key == "attempt":
        point.attempt = whole_of(raw)
    elif key == "severity":
        point.severity = whole_of(raw) or 0
    elif key == "event":
        point.name = raw if raw in _EVENTS else ""
    elif raw not in (None, ""):
        setattr(point, key, str(raw))


def _made(like: Point, name: str, values: dict[str, Value], body: str | None) -> Point:
    return msgspec.structs.replace(like, name=name, values=values, body=body)


def _told(record: Mapping[str, Any], key: str) -> str | None:
    raw = record.get(key)
    return raw if isinstance(raw, str) else None


def _number(raw: Any) -> float | None:
    value = value_of(raw)
    return float(value) if isinstance(value, (float, int)) else None


def _read(record: Mapping[str, Any], named: tuple[tuple[str, str], ...]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, name in named:
        raw = record[key]
        if type(raw) is not float and type(raw) is not int:
            raw = value_of(raw)
            if raw is None:
                continue
        values[name] = raw
    return values


def _flattened(record: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """``{"train": {"loss": 1}}`` as ``{"train/loss": 1}``, three levels at most."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            if depth < 3:
                for inner, item in _flattened(value, depth + 1).items():
                    found[f"{key}/{inner}"] = item
        else:
            found[key] = value
    return found
