"""The demo's own history, drawn: every panel that is about something the demo has shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.web.macros import ALL
from tests.dashboards import asking
from tests.dashboards.asking import CASES, Asked, case
from tests.fixtures_clickhouse import start_clickhouse
from tests.integration.processes import run_demo

# A run on a CPU, without evaluations, open incidents, words of people, web hooks, or losses on the way.
_NOT_IN_IT = {
    "checkpoints": {21, 22}, "fleet": {10}, "incidents": {5, 30, 36}, "pipeline": {4, 5, 31, 34, 42},
    "ranks": {5, 6, 8, 11, *range(20, 32), 43}, "run": {16, 17, 33, 34, 55},
}  # fmt: skip


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_panel_shows_what_the_demo_left(tmp_path: Path) -> None:
    """All queries run on a history that real processes wrote; those about what happened find it."""
    code, _, said = run_demo(tmp_path, "lr-spike@80", 200)
    assert code == 0, said
    endpoint = start_clickhouse(tmp_path / "clickhouse")
    try:
        url = f"{endpoint.url}/default"
        ends = "toUnixTimestamp64Milli(started), toUnixTimestamp64Milli(last_time)"
        run, began, ended = (
            column.values[0] for column in asking.columns(url, f"SELECT run, {ends} FROM train_runs_latest")
        )
        every = {name: [ALL] for name in ("attempt", "rank", "role", "node", "part")}
        asked = Asked(began - 60_000, ended + 60_000, {"run": [run], "compare": ["-"], **every})
        empty = {one for one in CASES if not asking.values(asking.frame(url, one, asked))}
        steps = asking.table(url, case("run", "Last step"), asked)["step"]
        lost, again = (
            asking.columns(url, sql)[0].values[0]
            for sql in (
                "SELECT sum(lost_steps) FROM train_incidents",
                "SELECT sum(recomputed_steps) FROM train_goodput_runs",
            )
        )
    finally:
        endpoint.child.stop()

    expected = {
        one for one in CASES
        if one.uid == "trainwarden-rl" or one.panel in _NOT_IN_IT[one.uid.removeprefix("trainwarden-")]
    }  # fmt: skip
    print(f"{len(CASES) - len(empty)} of {len(CASES)} panels show something")
    assert sorted(map(str, empty - expected)) == []
    assert steps == [199]
    print(f"{lost} steps lost to the incident, {again} made again")
    assert lost == again > 0
