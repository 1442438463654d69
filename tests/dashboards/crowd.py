"""A run of 64 ranks, of which one becomes slow: made inside the database, from numbers."""

from __future__ import annotations

from typing import Final

from tests.dashboards.story import select

CROWD: Final = "run-crowd"
RANKS: Final = 64
SLOW: Final = 17
STEPS: Final = 900

_STEP: Final = {
    "loss": "2 + 3 * exp(-n / 200) + 0.05 * sin(n) + 0.002 * rank",
    "grad_norm": "1 + abs(sin(n / 30)) + 3 * exp(-n / 100)",
    "step_time": f"0.5 + 0.02 * sin(n / 9 + rank) + if(rank = {SLOW} AND n > 400, 0.35, 0)",
    "data_time": f"0.05 + 0.005 * sin(n / 7 + rank * 3) + if(rank = {SLOW} AND n > 400, 0.3, 0)",
}
_RESOURCE: Final = {
    "hw.gpu.utilization": f"0.93 + 0.05 * sin(n / 20 + rank) - if(rank = {SLOW} AND n > 400, 0.4, 0)",
    "hw.gpu.memory.usage": "7e10 + 1e9 * sin(rank + n / 50)",
    "hw.gpu.temperature": f"62 + 6 * sin(n / 90 + rank / 12) + if(rank = {SLOW}, 14, 0)",
    "hw.gpu.power": "560 + 40 * sin(n / 40 + rank)",
}
_COLUMNS: Final = (
    "run, attempt, rank, node, role, time, emitter, seq, src_topic, src_partition, src_offset, name, value"
)
_NODE: Final = "concat('host-', toString(intDiv(rank, 8)))"


def tell_crowd(clickhouse: str) -> None:
    """Insert the run: it goes on now, half an hour old."""
    for name, value in _STEP.items():
        _insert(clickhouse, "train_steps", ("step", "n"), name, value)
    for name, value in _RESOURCE.items():
        _insert(clickhouse, "train_resources", ("device", "'GPU-0'"), name, value, 5)
    sql = f"""
        INSERT INTO train_runs
            (run, attempt, rank, node, role, run_name, world_size, started, last_time, last_step)
        SELECT
            '{CROWD}', 0, number AS rank, {_NODE}, 'trainer', 'llama-sft', {RANKS},
            now64(9) - toIntervalMillisecond({STEPS * 2000}), now64(9), {STEPS - 1}
        FROM numbers({RANKS})
    """
    select(clickhouse, sql)


def _insert(clickhouse: str, table: str, own: tuple[str, str], name: str, value: str, every: int = 1) -> None:
    sql = f"""
        INSERT INTO {table} ({_COLUMNS}, {own[0]})
        SELECT
            '{CROWD}', 0, rank, {_NODE}, 'trainer', now64(9) - toIntervalMillisecond(({STEPS} - n) * 2000),
            'e', n, 'otlp_logs', 0, n, '{name}', {value}, {own[1]}
        FROM (SELECT number * {every} AS n, arrayJoin(range({RANKS})) AS rank FROM numbers({STEPS // every}))
    """
    select(clickhouse, sql)
