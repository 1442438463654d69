"""A long run of 64 ranks on eight hosts, made inside ClickHouse, with other runs around it."""

from __future__ import annotations

import time
from typing import NamedTuple

from stream.web.macros import ALL
from tests.dashboards.full_story import tell_all
from tests.dashboards.rig import new_history
from tests.dashboards.story import Story, insert, select

RANKS = 64
BIG, OTHER = "big-64", "other-64"
CHOICES = {
    "run": [BIG], "compare": [OTHER], "attempt": [ALL], "rank": [ALL], "role": [ALL], "node": [ALL],
    "part": [ALL],
}  # fmt: skip
"""What is chosen of each variable: the large run, and the other beside it."""
_STEP_NAMES = ("loss", "step_time", "data_time")
_HOST = ("system.cpu.utilization", "system.memory.utilization")
_GPU = ("hw.gpu.utilization", "hw.gpu.temperature", "hw.gpu.memory.usage", "hw.gpu.power")
_EVERY_S = 15


class Scale(NamedTuple):
    """``steps`` of 64 ranks, one a second, of a run that ended at ``end`` (Unix s) and one beside it."""

    steps: int
    end: int

    @property
    def rows(self) -> int:
        """Rows of train_steps in all."""
        return (len(_STEP_NAMES) + 1) * RANKS * self.steps

    @property
    def began(self) -> int:
        """When both runs began (Unix s)."""
        return self.end - self.steps


def tell(clickhouse_url: str, steps: int) -> tuple[str, Scale]:
    """Two runs of 64 ranks that end now; one has all else that a history can hold, in its last seconds.

    Gives the URL of their database.
    """
    scale = Scale(steps, int(time.time()))
    url = new_history(clickhouse_url)
    make(url, scale)
    story = Story(BIG, name=BIG, state="started", now=scale.end)
    for table in ("train_commands", "train_acks", "train_diagnoses"):
        insert(url, table, story.tables()[table])
    tell_all(url, story)
    return url, scale


def make(clickhouse: str, scale: Scale) -> None:
    """Insert both runs; their roll-ups are filled by the views."""
    for name in _STEP_NAMES:
        select(clickhouse, _steps(BIG, name, scale))
    select(clickhouse, _steps(OTHER, "loss", scale))
    for name in (*_HOST, *_GPU):
        select(clickhouse, _resources(BIG, name, scale))
    select(clickhouse, _heartbeats(BIG, scale))
    for run in (BIG, OTHER):
        select(clickhouse, _rank_rows(run, scale))
    select(clickhouse, _evals(scale))


def _row(run: str, rank: str, seconds: str) -> str:
    return (
        f"'{run}' AS run, 0 AS attempt, {rank} AS rank, concat('host-', toString(intDiv({rank}, 8))) AS node,"
        f" 'trainer' AS role, fromUnixTimestamp64Milli(toInt64(({seconds}) * 1000)) AS time,"
        f" concat('{run}-', toString({rank})) AS emitter"
    )


def _steps(run: str, name: str, scale: Scale) -> str:
    step = f"intDiv(number, {RANKS})"
    value = {
        "loss": f"2 + 8 / (1 + {step} / 100) + (number % 7) * 0.01",
        "step_time": f"1 + (number % {RANKS} = 17) * 0.3 + (number % 11) * 0.001",
        "data_time": "0.05 + (number % 5) * 0.01",
    }[name]
    return f"""
        INSERT INTO train_steps
            (run, attempt, rank, node, role, time, emitter, step, name, value, seq, src_offset)
        SELECT {_row(run, f"toInt32(number % {RANKS})", f"{scale.began} + {step}")},
            {step} AS step, '{name}' AS name, {value} AS value, {step} AS seq, number AS src_offset
        FROM numbers({RANKS * scale.steps})
    """


def _resources(run: str, name: str, scale: Scale) -> str:
    turn, device = f"intDiv(number, {RANKS})", "''"
    if name in _GPU:
        device = f"concat('GPU-', toString(number % {RANKS}))"
    value = {"hw.gpu.temperature": "60 + number % 9", "hw.gpu.power": "500 + number % 50"}.get(
        name, "0.5 + (number % 9) * 0.01"
    )
    return f"""
        INSERT INTO train_resources
            (run, attempt, rank, node, role, time, emitter, device, name, value, src_offset)
        SELECT {_row(run, f"toInt32(number % {RANKS})", f"{scale.began} + {turn} * {_EVERY_S}")},
            {device} AS device, '{name}' AS name, {value} AS value, number AS src_offset
        FROM numbers({RANKS * (scale.steps // _EVERY_S + 1)})
    """


def _heartbeats(run: str, scale: Scale) -> str:
    turn = f"intDiv(number, {RANKS})"
    return f"""
        INSERT INTO train_heartbeats
            (run, attempt, rank, node, role, time, emitter, step, phase, progress_age)
        SELECT {_row(run, f"toInt32(number % {RANKS})", f"{scale.began} + {turn} * 30")},
            {turn} * 30 AS step, 'train' AS phase, 0.4 AS progress_age
        FROM numbers({RANKS * (scale.steps // 30 + 1)})
    """


def _rank_rows(run: str, scale: Scale) -> str:
    began, ended = f"fromUnixTimestamp64Milli({scale.began}000)", f"fromUnixTimestamp64Milli({scale.end}000)"
    return f"""
        INSERT INTO train_runs (run, attempt, role, rank, run_name, node, world_size, started, last_time,
            last_step, lifecycle)
        SELECT '{run}', 0, 'trainer', toInt32(number), '{run}', concat('host-', toString(intDiv(number, 8))),
            {RANKS}, {began}, {ended}, {scale.steps - 1}, ({ended}, 'started')
        FROM numbers({RANKS})
    """


def _evals(scale: Scale) -> str:
    return f"""
        INSERT INTO train_evals (run, attempt, rank, node, role, time, emitter, step, name, value)
        SELECT {_row(BIG, "toInt32(0)", f"{scale.began} + number * 100")},
            number * 100 AS step, 'eval_loss' AS name, 3.0 AS value
        FROM numbers({max(1, scale.steps // 100)})
    """
