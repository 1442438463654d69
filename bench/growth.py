"""What an event costs the engine as runs, ranks, rules and series grow: CPU time, everything else equal.

Each size judges the same number of events after a warm-up in which every run, rank and series has been met,
so that what is compared is the steady state; what a new one costs is a row of its own. The shipped packs
are all on, but for the growth of rules, where one simple rule is repeated.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bench.row import Row
from stream import events, resources
from stream.diagnose.engine import Engine
from stream.events import Batch, Event, Resource, Source, Tick
from stream.rulelang import load_packs, load_text
from stream.rulelang.model import RuleSet

RUNS: Final = (1, 100, 10_000)
RANKS: Final = (1, 8, 64, 512, 8192)
RULES: Final = (1, 10, 100, 1000)
SERIES: Final = (1, 100, 10_000)
EVENTS: Final = 65_536
_FLUSH: Final = 4
"""Steps of one rank in one batch: a step of a quarter of a second, flushed each second."""
_STEP_NS: Final = 250_000_000
_START_NS: Final = 1_700_000_000_000_000_000

_RULE: Final = (
    "  - {{id: r{number}, category: loss_spike, summary: s, on: train.step,\n"
    '     when: "loss > {limit} * median(loss, last=100)"}}\n'
)
_BY_SERIES: Final = """\
pack: bench
rules:
  - {id: r, category: gpu_throttle, summary: s, on: train.resource, by: [run, role, rank, hw.id],
     when: "hw.gpu.temperature > 9 * median(hw.gpu.temperature, last=20)"}
"""


class Crowd:
    """So many runs of so many ranks, which log one step after the other.

    With ``series`` they log samples of so many GPUs instead, one GPU after the other.
    """

    def __init__(self, runs: int, ranks: int, series: int = 0) -> None:
        self._runs, self._ranks, self._series = runs, ranks, series
        self._random = random.Random(7)
        self._offset = 0
        self.step = 0

    @property
    def members(self) -> int:
        """Emitters in all."""
        return self._runs * self._ranks

    def flush(self) -> Iterator[Batch | Tick]:
        """The next steps of every rank of every run, then the tick of the clock."""
        for run in range(self._runs):
            for rank in range(self._ranks):
                yield self._batch(f"run-{run}", rank)
        self.step += _FLUSH
        self._offset += 1
        yield Tick(events.VERSION, 0, self._offset, 1, _START_NS + self.step * _STEP_NS)

    def _batch(self, run: str, rank: int) -> Batch:
        self._offset += 1
        resource = Resource(
            run, rank=rank, world_size=self._ranks, node=f"n{rank // 8}", emitter=f"{run}/{rank}"
        )
        source = Source("otlp_logs", 0, self._offset, self._offset)
        some = [self._event(step) for step in range(self.step, self.step + _FLUSH)]
        return Batch(events.VERSION, run, source, [resource], some)

    def _event(self, step: int) -> Event:
        chance = self._random.gauss
        if self._series:
            values: dict[str, events.Value] = {
                "hw.id": f"gpu-{step % self._series}", "hw.gpu.temperature": chance(60.0, 1.0)
            }  # fmt: skip
            return Event("train.resource", _START_NS + step * _STEP_NS, seq=step, step=step, values=values)
        values = {
            "loss": 2.0 + chance(0, 0.05), "grad_norm": 1.0 + abs(chance(0, 0.1)), "learning_rate": 1e-3,
            "tokens_per_second": chance(1e5, 1e3), "step_time": abs(chance(0.25, 0.003)), "data_time": 0.01,
        }  # fmt: skip
        return Event("train.step", _START_NS + step * _STEP_NS, seq=step, step=step, values=values)


def _work(engine: Engine, messages: Iterable[Batch | Tick]) -> float:
    """CPU seconds for these, which are made beforehand."""
    ready = list(messages)
    begun = time.process_time()
    for message in ready:
        engine.process(message)
    return time.process_time() - begun


def cost(crowd: Crowd, rules: RuleSet, *, warm: int = 2) -> tuple[float, float]:
    """Microseconds for an event in the steady state, and for the first batch of an emitter."""
    engine = Engine(rules)
    first = _work(engine, crowd.flush()) / crowd.members
    for _ in range(warm):
        _work(engine, crowd.flush())
    spent, judged = 0.0, 0
    while judged < EVENTS:
        spent += _work(engine, crowd.flush())
        judged += crowd.members * _FLUSH
    return spent / judged * 1e6, first * 1e6


def _rules(count: int) -> RuleSet:
    text = "".join(_RULE.format(number=number, limit=9 + number) for number in range(count))
    return load_text(f"pack: bench\nrules:\n{text}", Path("bench.yaml"))


def _row(what: str, sizes: tuple[int, ...], costs: list[float], target: str) -> Row:
    between = ", ".join(
        f"{size:,}: {found:.3g}" for size, found in zip(sizes[1:-1], costs[1:-1], strict=True)
    )
    middle = f" ({between})" if between else ""
    return Row(
        f"event with {sizes[-1]:,} {what}{middle}", costs[-1], costs[0], "us", f"with {sizes[0]}", target
    )


def measure() -> list[Row]:
    """CPU time of an event at the largest size against the smallest; those between are named."""
    shipped = load_packs([resources.path("rules")])
    runs = [cost(Crowd(size, 1), shipped) for size in RUNS]
    ranks = [cost(Crowd(1, size), shipped) for size in RANKS]
    rules = [cost(Crowd(1, 1), _rules(size))[0] for size in RULES]
    gpus = [
        cost(Crowd(1, 1, size), load_text(_BY_SERIES, Path("bench.yaml")), warm=2 + size // _FLUSH)[0]
        for size in SERIES
    ]
    return [
        _row("runs", RUNS, [steady for steady, _ in runs], "<= 2x"),
        _row("ranks", RANKS, [steady for steady, _ in ranks], "<= 2x of 8 ranks"),
        _row("rules of its event", RULES, rules, "below linear"),
        _row("series of a rule", SERIES, gpus, "<= 2x"),
        Row("first flush of a new run", runs[-1][1], runs[0][1], "us", "with 1 run"),
    ]
