"""JSONL of steps: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from emitter.vocabulary import events

_EVAL_PREFIX: Final = "eval_"
_OURS: Final = ("step", "time", "rank", "epoch")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Flat records (see stream.diagnose.batches.event_of): a step, and an eval where the line has one."""
    with path.open() as lines:
        for line in lines:
            record = {name: _number(value) for name, value in json.loads(line).items()}
            common = {name: record[name] for name in _OURS if name in record}
            yield from _split(record, common)


def _split(record: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    evals = {name: value for name, value in record.items() if name.startswith(_EVAL_PREFIX)}
    step = {name: value for name, value in record.items() if name not in evals}
    if len(step) > len(common) or not evals:
        yield step
    if evals:
        yield {**common, **evals, "event": events.EVAL}


def _number(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
