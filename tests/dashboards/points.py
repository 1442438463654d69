"""A run of one rank with as many points as one likes, made inside ClickHouse."""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

from tests.dashboards.story import select

RUN: Final = "run-large"
NAMES: Final = ("loss", "grad_norm", "learning_rate", "step_time", "data_time")
STEP_S: Final = 0.25
MANY: Final = int(os.environ.get("TRAINWARDEN_VIEWER_POINTS", "5000000"))
"""Points of the nightly form."""
SOME: Final = 300_000
MOST_BYTES: Final = 30_000
"""Of one panel's answer as it goes to a page, however many points there are."""
_VALUE: Final = (
    f"multiIf(name = 'loss', 2 + sin(number / 1000) + rand() / 4e10, name = 'step_time', {STEP_S},"
    f" name = 'data_time', {STEP_S / 10}, rand() / 4e9)"
)


class Points(NamedTuple):
    """How many points a run has, and when it ended (Unix seconds)."""

    size: int
    end: float

    @property
    def steps(self) -> int:
        """How many steps it made, each with a point of each name."""
        return self.size // len(NAMES)

    @property
    def began(self) -> float:
        """Unix seconds."""
        return self.end - self.steps * STEP_S


def make(history: str, size: int) -> Points:
    """Insert the run; it ended a minute ago."""
    points = Points(size, time.time() - 60)
    names = ", ".join(f"'{name}'" for name in NAMES)
    origin = "emitter, seq, src_topic, src_partition, src_offset"
    select(
        history,
        f"""INSERT INTO train_steps (run, attempt, rank, node, role, {origin}, time, step, name, value)
        SELECT
            '{RUN}', 0, 0, 'host-1', 'trainer', 'e', number, 'otlp_logs', 0, number,
            toDateTime64({points.began:.3f} + number * {STEP_S}, 9), number, name, {_VALUE}
        FROM numbers({points.steps}) ARRAY JOIN [{names}] AS name""",
    )
    select(
        history,
        f"""INSERT INTO train_runs
            (run, attempt, role, rank, run_name, node, started, last_time, last_step)
        VALUES ('{RUN}', 0, 'trainer', 0, 'large', 'host-1', {points.began:.3f}, {points.end:.3f},
            {points.steps - 1})""",
    )
    return points
