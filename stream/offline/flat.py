"""Flat records (a JSON object, a row) to points: which key is the step, the time, an eval's number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from emitter.vocabulary import events
from emitter.vocabulary.metrics import ALIASES, BY_NAME, canonical
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
MAX_PLANS: Final = 1000


def name_of(key: str) -> str:
    """The canonical name of a logged key, whatever its case."""
    name = canonical(key)
    if name == key and name not in BY_NAME:
        lower = key.lower()
        name = ALIASES.get(lower, lower if lower in BY_NAME else key)
    return name


def is_eval(key: str) -> bool:
    """Whether this key is an evaluation's number."""
    return key.startswith(_EVAL_STARTS) or name_of(key).startswith("eval_")


class _Plan:
    """What is what in records with exactly these keys."""

    __slots__ = ("body", "epoch", "evals", "own", "step", "summary", "time", "values")

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
    """Reads records; knows the shapes it has seen."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def points(self, record: Mapping[str, Any], line: int, clock: str = "") -> Iterator[Point]:
        """The step, the eval and the log line in one record, whichever of them are there."""
        keys = tuple(record)
        plan = self._plans.get(keys)
        if plan is None:
            if any(isinstance(value, dict) for value in record.values()):
                yield from self.points(_flattened(record), line, clock)
                return
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[keys] = _Plan(keys)
        if plan.summary:
            return
        common = self._common(record, plan, line, clock)
        name = str(record.get("event", "")) if plan.own else ""
        if name in _EVENTS:
            values = _read(record, (*plan.values, *plan.evals))
            yield Point(name, values, **common, body=_text(record, plan.body))
            return
        if values := _read(record, plan.values):
            yield Point(events.STEP, values, **common)
        if values := _read(record, plan.evals):
            yield Point(events.EVAL, values, **common)
        if body := _text(record, plan.body):
            yield Point(events.LOG, {}, **common, body=body)

    def _common(self, record: Mapping[str, Any], plan: _Plan, line: int, clock: str) -> dict[str, Any]:
        common: dict[str, Any] = {"line": line, "clock": clock}
        if plan.step:
            common["step"] = whole_of(record[plan.step])
        if plan.time:
            common["time"] = time_of(record[plan.time])
        if plan.epoch:
            epoch = value_of(record[plan.epoch])
            common["epoch"] = epoch if isinstance(epoch, (float, int)) else None
        for key in plan.own:
            raw = record[key]
            if key in ("rank", "attempt"):
                common[key] = whole_of(raw)
            elif key == "severity":
                common[key] = whole_of(raw) or 0
            elif key != "event" and raw not in (None, ""):
                common[key] = str(raw)
        return common


def _read(record: Mapping[str, Any], named: tuple[tuple[str, str], ...]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for key, name in named:
        raw = record[key]
        if type(raw) is not float:
            raw = value_of(raw)
            if raw is None:
                continue
        values[name] = raw
    return values


def _text(record: Mapping[str, Any], key: str | None) -> str | None:
    raw = record[key] if key else None
    return raw if isinstance(raw, str) else None


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
