"""The table of ``top``: gathered from the history, printed once or again and again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stream import goodput
from stream.cli.run_listing import NAME, STYLES, share, step
from stream.history import standing
from stream.history.ledger import Query, Run
from stream.report.plain import terminal

_SUMMARY: Final = 80
_RECENT_S: Final = 300
"""A run that nothing was heard of for longer is shown as silent."""
# The last minute, by ten seconds; the reference rank alone.
_STEPS: Final = """
SELECT b.run AS run, sum(b.count + b.not_finite) / 60 AS rate
FROM train_steps_10s AS b
WHERE b.time >= now() - 60 AND (b.run, b.name, b.rank, b.role, b.attempt) IN (
    SELECT f.run, f.marker, f.rank, f.role, f.attempt
    FROM train_reference AS f WHERE f.run IN {runs:Array(String)}
)
GROUP BY b.run
"""
_LOSS: Final = """
SELECT s.run AS run, argMaxMerge(s.last_value) AS loss
FROM train_series AS s
WHERE s.run IN {runs:Array(String)} AND s.name = 'loss'
    AND (s.run, s.attempt, s.role, s.rank) IN (
        SELECT f.run, f.attempt, f.role, f.rank FROM train_reference AS f WHERE f.run IN {runs:Array(String)}
        ORDER BY f.attempt DESC LIMIT 1 BY f.run
    )
GROUP BY s.run
"""
_GPU: Final = """
SELECT r.run AS run, sum(r.total) / sum(r.count) AS used
FROM train_resources_10s AS r
WHERE r.run IN {runs:Array(String)} AND r.name = 'hw.gpu.utilization' AND r.time >= now() - 60
GROUP BY r.run HAVING sum(r.count) > 0
"""
_DIAGNOSIS: Final = """
SELECT run, argMax(rule, d.time) AS rule, argMax(substringUTF8(summary, 1, 500), d.time) AS summary
FROM train_diagnoses AS d
WHERE run IN {runs:Array(String)} AND state = 'firing' GROUP BY run
"""


def gathered(ask: Run, limit: int) -> list[standing.Found]:
    """Running runs, the newest first, as JSON has them."""
    found = standing.many(ask, standing.Wanted(states=("running",), limit=limit))
    if not found:
        return []
    ids = {"runs": [one["run"] for one in found]}
    spent = goodput.fleet(ask, ids["runs"])
    rates, losses, gpus = (_by_run(ask, sql, ids) for sql in (_STEPS, _LOSS, _GPU))
    diagnoses = _by_run(ask, _DIAGNOSIS, ids)
    for one in found:
        run = one["run"]
        one["silent"] = (datetime.now(timezone.utc) - _time(one["last_time"])).total_seconds() > _RECENT_S
        one["loss"] = standing.number(losses[run]["loss"]) if run in losses else None
        one["steps_per_second"] = round(rates[run]["rate"], 4) if run in rates else 0.0
        one["goodput"] = round(spent[run].goodput, 4) if run in spent else None
        one["gpu_utilization"] = round(gpus[run]["used"], 4) if run in gpus else None
        one["diagnosis"] = (
            {name: diagnoses[run][name] for name in ("rule", "summary")} if run in diagnoses else None
        )
    return found


def _by_run(ask: Run, sql: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {row["run"]: row for row in ask(Query("top", sql, parameters))}


def _time(moment: str) -> datetime:
    return datetime.fromisoformat(moment[:19]).replace(tzinfo=timezone.utc)


def printed(ask: Run, limit: int) -> None:
    """One table on stdout."""
    Console(highlight=False).print(table(gathered(ask, limit)))


def live(ask: Run, limit: int, every: float) -> None:
    """Until Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Live(
            table(gathered(ask, limit)), console=Console(highlight=False), auto_refresh=False
        ) as screen:
            while not stopped.wait(every):
                screen.update(table(gathered(ask, limit)), refresh=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def table(runs: Sequence[standing.Found]) -> Table:
    """As it is shown."""
    shown = Table("run", "state", "step", "loss", "steps/s", "goodput", "GPU", "last diagnosis", box=None,
                  pad_edge=False)  # fmt: skip
    for column in range(2, 7):
        shown.columns[column].justify = "right"
    for run in runs:
        state = "silent" if run["silent"] else run["state"]
        shown.add_row(
            Text(terminal(run["run_name"] or run["run"], NAME)),
            Text(state, style=STYLES.get(state, "yellow")),
            step(run["last_step"]),
            _loss(run["loss"]),
            f"{run['steps_per_second']:.2f}",
            share(run["goodput"]),
            "-" if run["gpu_utilization"] is None else f"{run['gpu_utilization']:.0%}",
            _diagnosis(run["diagnosis"]),
        )
    if not runs:
        shown.add_row(Text("no run is running", style="dim"))
    return shown


def _loss(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _diagnosis(found: dict[str, str] | None) -> Text:
    return Text("") if found is None else Text(terminal(f"{found['rule']}: {found['summary']}", _SUMMARY))
