"""The rules' windows against pandas and river.

Against pandas: four rules over a whole recorded run, once through the engine event by event, once as the
rolling columns an analyst would write. Against river: its rolling statistics, value by value. Before the
clock runs, each pair is shown to come to the same results.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from river import stats, utils

from bench.row import Row
from bench.steps import STEPS, batches, decoded, rate, records, requests
from stream.diagnose.engine import Engine
from stream.rulelang import load_text
from stream.rulelang.model import WindowSpec
from stream.rulelang.windows import make

if TYPE_CHECKING:
    from stream.rulelang import RuleSet

_RULES: Final = """\
pack: bench
rules:
  - {id: spike, category: loss_spike, summary: s, on: train.step, for: 2,
     let: {typical: "median(log(loss), last=100)", spread: "mad(log(loss), last=100)"},
     when: "(log(loss) - typical) / (1.4826 * spread) > 8"}
  - {id: explosion, category: grad_explosion, summary: s, on: train.step, for: 2,
     when: "grad_norm > 5 * median(grad_norm, last=200)"}
  - {id: slow, category: throughput_drop, summary: s, on: train.step, for: 2,
     when: "tokens_per_second < 0.7 * mean(tokens_per_second, last=100)"}
  - {id: late, category: straggler, summary: s, on: train.step, for: 2,
     when: "step_time > mean(step_time, last=100) + 8 * std(step_time, last=100)"}
"""
_LAST: Final = 100


def _through_engine(rules: RuleSet, payloads: list[bytes]) -> list[tuple[str, int | None]]:
    engine = Engine(rules)
    made = [one for batch in decoded(payloads) for one in engine.process(batch)]
    return sorted((one.rule, one.step) for one in made if one.state == "firing")


def _mad(values: Any) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def _through_pandas(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """The same rules on columns; ``shift`` leaves the present sample out of its window."""
    logs = np.log(frame["loss"])
    before = logs.shift(1).rolling(_LAST, min_periods=1)
    gradients = frame["grad_norm"].shift(1).rolling(200, min_periods=1).median()
    speed = frame["tokens_per_second"].shift(1).rolling(_LAST, min_periods=1).mean()
    times = frame["step_time"].shift(1).rolling(_LAST, min_periods=1)
    match = {
        "spike": (logs - before.median()) / (1.4826 * before.apply(_mad, raw=True)) > 8,
        "explosion": frame["grad_norm"] > 5 * gradients,
        "slow": frame["tokens_per_second"] < 0.7 * speed,
        "late": frame["step_time"] > times.mean() + 8 * times.std(ddof=0),
    }
    found = []
    for name, matches in match.items():
        second = matches & matches.shift(1, fill_value=False)
        fires = second & ~second.shift(1, fill_value=False)
        found += [(name, int(step)) for step in frame["train.step"][fires]]
    return sorted(found)


def _against_pandas() -> Row:
    rules = load_text(_RULES, Path("bench.yaml"))
    steps = records()
    payloads, frame = batches(requests(steps)), pd.DataFrame(steps)
    ours, theirs = _through_engine(rules, payloads), _through_pandas(frame)
    if ours != theirs or not ours:
        raise AssertionError(f"the engine fires at {ours}, pandas at {theirs}")
    return Row(
        "four rolling rules over a run", rate(lambda: _through_engine(rules, payloads), STEPS),
        rate(lambda: _through_pandas(frame), STEPS, 1), "1/s", "pandas, whole columns at once",
    )  # fmt: skip


def _our_window(values: list[float]) -> tuple[float, ...]:
    (window,) = make([WindowSpec(lambda slots, _: float(slots[0]), frozenset(), last=_LAST)])
    found: tuple[float, ...] = ()
    for number, value in enumerate(values):
        window.push(number, value)
        found = (window.median(), window.max(), window.mean(), window.std())
    return found


def _river_window(values: list[float]) -> tuple[float, ...]:
    median, largest = stats.RollingQuantile(0.5, _LAST), stats.RollingMax(_LAST)
    mean: Any = utils.Rolling(stats.Mean, window_size=_LAST)
    variance: Any = utils.Rolling(stats.Var, window_size=_LAST, ddof=0)
    found: tuple[Any, ...] = ()
    parts: tuple[Any, ...] = (median, largest, mean, variance)
    for value in values:
        for one in parts:
            one.update(value)
        found = (median.get(), largest.get(), mean.get(), math.sqrt(variance.get()))
    return found


def _against_river() -> Row:
    values = [record["loss"] for record in records()]
    ours, theirs = _our_window(values), _river_window(values)
    if not np.allclose(ours, theirs):
        raise AssertionError(f"the window says {ours}, river {theirs}")
    return Row(
        "median, max, mean, std of the last 100", rate(lambda: _our_window(values), STEPS),
        rate(lambda: _river_window(values), STEPS), "1/s", "river",
    )  # fmt: skip


def measure() -> list[Row]:
    """Events and values per second."""
    return [_against_pandas(), _against_river()]
