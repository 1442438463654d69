"""``trainwarden up``: ready together, found by others, refuses what it must, leaves nothing behind."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary import stack as discovery
from stream import history
from stream.goodput import PARTS as PARTS_OF_TIME
from tests.fixtures import wait_for
from tests.integration.processes import CLI, environment, gone, running_up, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

DOCS = Path(__file__).parents[2] / "docs"
SERVICES = {f"trainwarden-{part}" for part in ("loop", "history", "gateway", "clickhouse")}
PARTS = {"up", "broker", "clickhouse", "worker-history", "worker-loop", "viewer", "gateway"}


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=10) as response:
        return bool(response.status == 200)


def _steps(stack: dict[str, Any], run: str) -> int:
    with history.connect(stack["endpoints"]["clickhouse"]) as client:
        query = "SELECT uniqExact(emitter, seq) FROM train_steps WHERE run = {run:String}"
        return int(client.query(query, parameters={"run": run}).result_rows[0][0])


def _own_metrics(stack: dict[str, Any]) -> None:
    """The parts' own metrics are in the history, and the queries of docs/health.md find them there."""
    queries = re.findall(r"```sql\n(.*?)```", (DOCS / "health.md").read_text(), re.DOTALL)
    assert len(queries) == 2
    with history.connect(stack["endpoints"]["clickhouse"]) as client:

        def services() -> set[str]:
            query = "SELECT DISTINCT service FROM train_metrics WHERE name = 'process.cpu.time'"
            return {row[0] for row in client.query(query).result_rows}

        wait_for(lambda: services() == SERVICES, 120, "metrics of all parts")
        lags, stages = ([row[:2] for row in client.query(query).result_rows] for query in queries)
    assert {service for _, service in lags} == {"trainwarden-history", "trainwarden-loop"}
    assert ("ingest", "otlp_metrics") in stages


def _once(stack: dict[str, Any], run: str, steps: int) -> bool:
    """Whether the history has each of these steps in one row, and no other."""
    with history.connect(stack["endpoints"]["clickhouse"]) as client:
        query = (
            "SELECT count(), uniqExact(step), min(step), max(step) FROM train_steps "
            "WHERE run = {run:String} AND name = 'loss'"
        )
        row = client.query(query, parameters={"run": run}).result_rows[0]
    return tuple(row) == (steps, steps, 0, steps - 1)


def _agrees(stack: dict[str, Any], run: str, steps: int) -> None:
    """``runs show`` says what the trainer logged and what a view in SQL says: last loss, steps, goodput."""
    endpoint = stack["endpoints"]["clickhouse"]
    done = subprocess.run(
        [*CLI, "runs", "show", run, "--json", "--clickhouse", endpoint],
        env=environment(), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    shown = json.loads(done.stdout)
    with history.connect(endpoint) as client:
        view = "SELECT * FROM train_goodput_runs WHERE run = {run:String}"
        (row,) = client.query(view, parameters={"run": run}).named_results()
        logged = "SELECT argMax(value, step) FROM train_steps WHERE run = {run:String} AND name = 'loss'"
        loss = client.query(logged, parameters={"run": run}).result_rows[0][0]
    assert loss == 1.0 / steps  # as the trainer has it
    assert shown["last"]["loss"] == {"value": loss, "step": steps - 1}
    assert shown["last_step"] == steps - 1
    spent = shown["goodput"]
    assert spent["steps"] == row["steps"] == steps
    assert abs(spent["goodput"] - row["goodput"]) < 1e-5
    assert abs(sum(spent[part] for part in PARTS_OF_TIME) - spent["wall"]) <= 0.005 * spent["wall"]
    assert spent["productive"] > 0


def _ill(data_dir: Path) -> list[dict[str, str]]:
    """What `doctor` finds to mend in a stack, but for what a small trainer leaves rules without."""
    env = environment(**{discovery.ENV_DATA_DIR: str(data_dir)})
    done = subprocess.run(
        [*CLI, "doctor", "--json"], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    assert {"parts", "broker", "topics", "workers", "gateway", "history", "clocks", "keys"} <= {
        one["check"] for one in found
    }
    return [
        one for one in found if one["verdict"] not in ("ok", "skipped") and one["check"] != "silent rules"
    ]


@pytest.mark.timeout(300)
def test_up_gets_ready_announces_itself_and_stops_in_order(tmp_path: Path) -> None:
    """All parts answer where stack.json says; SIGTERM stops them and takes the file away."""
    data_dir = tmp_path / "data"
    with running_up(data_dir, tmp_path) as up:
        stack = up.ready()
        assert stack["ready"] is True
        assert set(stack["endpoints"]) == set(discovery.ENDPOINTS)
        assert set(stack["pids"]) == PARTS
        assert "trainwarden" in stack["versions"]
        for name, path in (("otlp_http", "/readyz"), ("clickhouse", "/ping"), ("viewer", "/readyz")):
            assert _answers(stack["endpoints"][name] + path)
        up.child.process.send_signal(signal.SIGTERM)
        assert up.child.process.wait(90) == 0, up.child.tail()
        stopped = [line.split(":")[0] for line in up.child.tail(200).splitlines() if ": stopped" in line]
    assert stopped == ["gateway", "viewer", "worker-loop", "worker-history", "clickhouse", "broker"]
    assert all(gone(pid) for name, pid in stack["pids"].items() if name != "up")
    assert not (data_dir / discovery.STACK_FILE).exists()
    assert {path.stem for path in (data_dir / "logs").glob("*.log")} == PARTS - {"up"}


@pytest.mark.timeout(400)
def test_up_killed_leaves_no_orphan_and_its_history_to_the_next_one(tmp_path: Path) -> None:
    """kill -9 takes all parts along; started again on the same data, old runs are there and new ones work.

    No row is dropped or doubled although the broker's offsets begin at 0 again. Before, the doctor is content
    with it, and its own metrics are in the history.
    """
    data_dir = tmp_path / "data"
    with running_up(data_dir, tmp_path / "first") as up:
        stack = up.ready()
        train(data_dir, "before", 200)
        wait_for(lambda: _steps(stack, "before") == 200, 60, "the run to be in the history")
        assert _ill(data_dir) == []
        _own_metrics(stack)
        up.child.process.kill()
        wait_for(lambda: all(gone(pid) for pid in stack["pids"].values()), what="all parts to be gone")
    assert discovery.read_stack(data_dir) is None
    with running_up(data_dir, tmp_path / "second") as up:
        stack = up.ready()
        assert _steps(stack, "before") == 200
        train(data_dir, "after", 100)
        wait_for(lambda: _steps(stack, "after") == 100, 60, "the new run to be in the history")
        assert _once(stack, "before", 200)
        assert _once(stack, "after", 100)
        _agrees(stack, "after", 100)


@pytest.mark.timeout(300)
def test_up_ends_when_a_part_dies_and_says_what_is_lost(tmp_path: Path) -> None:
    """A part that is killed ends the whole with exit code 3, its name, its log and a word on the broker."""
    with running_up(tmp_path / "data", tmp_path) as up:
        stack = up.ready()
        victim = subprocess.Popen(["kill", "-KILL", str(stack["pids"]["viewer"])])
        assert victim.wait() == 0
        assert up.child.process.wait(90) == 3
        said = up.child.tail(200)
    assert "viewer ended with signal SIGKILL; the end of" in said
    assert "The embedded broker keeps messages in memory" in said
    assert all(gone(pid) for name, pid in stack["pids"].items() if name != "up")


@pytest.mark.timeout(300)
def test_a_data_directory_holds_one_stack(tmp_path: Path) -> None:
    """A second `up` on a directory in use is refused, and leaves the first one's stack.json alone."""
    data_dir = tmp_path / "data"
    with running_up(data_dir, tmp_path / "first") as up:
        stack = up.ready()
        with running_up(data_dir, tmp_path / "second") as second:
            assert second.child.process.wait(60) == 3
            assert f"another stack (process {stack['pids']['up']}) is running there" in second.child.tail()
        assert discovery.read_stack(data_dir) == stack


def test_up_refuses_busy_ports_by_name(tmp_path: Path) -> None:
    """A port in use is named with the part that wants it and the cure; nothing is started."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8400))
            taken.listen(1)
        except OSError:
            pass  # somebody else has it: as good
        done = subprocess.run(
            [*CLI, "up", "--data-dir", str(tmp_path)], env=environment(), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert "port 8400 (viewer) is in use on 127.0.0.1" in done.stderr
    assert "--ports auto" in done.stderr
    assert not (tmp_path / "logs").exists()


@pytest.mark.timeout(300)
def test_a_part_that_cannot_start_is_named_with_its_words(tmp_path: Path) -> None:
    """A broken rule pack ends the start: exit code 3, the part, the end of its log with the place."""
    pack = tmp_path / "broken.yaml"
    pack.write_text("pack: broken\nrules:\n  - id: nameless\n    kategory: nan_loss\n")
    with running_up(tmp_path / "data", tmp_path, "--rules", str(pack)) as up:
        assert up.child.process.wait(150) == 3
        said = up.child.tail(200)
    assert "worker-loop ended with exit code 3; the end of" in said
    assert "broken.yaml:4:5" in said
    assert ": stopped" in said
