"""The history as a notebook asks for it, from a real ClickHouse endpoint."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emitter.vocabulary import stack
from stream.history import AddressError, UnreachableError
from stream.notebook import ExportError, History, MissingLibraryError, NoRunError, NotebookError, Run
from tests.dashboards.rig import new_history
from tests.dashboards.story import Story, insert, moment
from tests.fixtures import free_port

pytestmark = pytest.mark.slow

STEPS = 120
NOW = float(int(time.time()))
OLD = Story("book-old", name="twice", steps=STEPS, now=NOW, ended_ago_s=500, fault=False)


@pytest.fixture(scope="module")
def url(clickhouse_url: str) -> str:
    """A database with a run that broke and one that did not, both of one name."""
    database = new_history(clickhouse_url, OLD, Story("book-a", name="twice", now=NOW))
    change = {"run": "book-a", "id": "incident-1", "seq": 3, "began": moment(NOW), "state": "resolved"}
    insert(database, "train_incident_changes", [change, {**change, "seq": 2, "state": "open"}])
    return database


@pytest.fixture
def history(url: str) -> Iterator[History]:
    """The history, open."""
    with History(url) as opened:
        yield opened


@pytest.fixture
def run(history: History) -> Run:
    """The run that broke."""
    return history.run("book-a")


def test_runs_come_newest_first(history: History) -> None:
    """One row a run, with its name, state and last step, and times in UTC."""
    runs = history.runs()
    assert runs.arrow()["run"].to_pylist()[:2] == ["book-a", "book-old"]
    assert runs.arrow().schema.field("started").type == pa.timestamp("ns", "UTC")
    assert repr(history.run("book-old")) == f"<Run twice: finished, attempt 0, step {STEPS - 1}>"


def test_a_name_is_the_newest_run_of_it(history: History) -> None:
    """An id comes before a name, and of several runs of a name the newest is meant."""
    assert history.run("twice").id == "book-a"
    assert history.run("book-old").id == "book-old"


def test_a_run_that_is_not_there(history: History) -> None:
    """The error guesses, or says where all of them are."""
    with pytest.raises(NoRunError, match=r'no run has the id or name twic; did you mean "twice"\?'):
        history.run("twic")
    with pytest.raises(NoRunError, match=r"name xyz; \.runs\(\) lists them all"):
        history.run("xyz")


def test_steps_are_a_column_for_each_name(history: History) -> None:
    """Every step is a row, in the order of time, with the values that were logged."""
    wanted = [row["value"] for row in OLD.tables()["train_steps"] if row["name"] == "loss"]
    frame = history.run("book-old").steps("loss", "grad_norm")
    assert frame.columns == ["attempt", "role", "rank", "time", "step", "loss", "grad_norm"]
    assert frame.arrow()["step"].to_pylist() == list(range(STEPS))
    np.testing.assert_array_equal(frame.arrow()["loss"].to_numpy(), wanted)


def test_all_names_where_none_is_given(run: Run) -> None:
    """Without names, all that was logged; NaN stays NaN."""
    frame = run.steps()
    assert frame.columns[5:] == run.names()
    assert {"loss", "learning_rate", "step_time"} <= set(run.names())
    assert any(math.isnan(value) for value in frame.arrow()["loss"].to_pylist())
    assert len(run.steps(rank=0)) == len(frame)
    assert len(run.steps(rank=7)) == len(run.steps(attempt=3)) == 0


def test_a_record_that_lacks_a_name(url: str, history: History) -> None:
    """Is a row all the same, with null there."""
    early = NOW - 9000
    common = {"run": "book-holes", "attempt": 0, "rank": 1, "emitter": "e", "src_topic": "otlp_logs"}
    insert(url, "train_steps", [
        {**common, "time": moment(early + step), "step": step, "seq": step, "name": name, "value": step / 2}
        for step, name in [(0, "loss"), (0, "kl"), (1, "loss"), (2, "kl")]
    ])  # fmt: skip
    insert(url, "train_runs", [{"run": "book-holes", "started": moment(early), "last_time": moment(NOW)}])
    table = history.run("book-holes").steps("loss", "kl").arrow()
    assert table.select(["step", "loss", "kl"]).to_pylist() == [
        {"step": 0, "loss": 0.0, "kl": 0.0},
        {"step": 1, "loss": 0.5, "kl": None},
        {"step": 2, "loss": None, "kl": 1.0},
    ]


def test_every_gives_means_over_time(history: History) -> None:
    """As pandas computes them of the raw values, without what is not finite."""
    run = history.run("book-a")
    raw = run.steps("loss").pandas()
    raw = raw[np.isfinite(raw["loss"])]
    wanted = raw.groupby(raw["time"].dt.floor("1s"))["loss"].mean()
    found = run.steps("loss", every="1s").pandas().dropna()
    pd.testing.assert_series_equal(
        found.set_index("time")["loss"], wanted, check_names=False, check_index_type=False, check_freq=False
    )
    assert found["step"].iloc[0] == raw[raw["time"] < found["time"].iloc[1]]["step"].max()


@pytest.mark.parametrize("wrong", ["0s", "10", "s", "-1m", "1.5h", ""])
def test_every_has_to_be_a_time(run: Run, wrong: str) -> None:
    """Anything else is named."""
    with pytest.raises(NotebookError, match='every: expected a time like "10s", "5m" or "1h", got '):
        run.steps("loss", every=wrong)


def test_evaluations_and_resources(run: Run) -> None:
    """Evaluations as steps; samples a row each, narrowed by name, rank and GPU."""
    assert run.evals().columns[5:] == ["eval_accuracy", "eval_loss"]
    gpus = run.resources("hw.gpu.utilization", device="GPU-1").arrow()
    assert set(gpus["device"].to_pylist()) == {"GPU-1"}
    assert set(gpus["name"].to_pylist()) == {"hw.gpu.utilization"}
    assert set(run.resources(device="").arrow()["device"].to_pylist()) == {""}
    assert len(run.resources(rank=3)) == 0


def test_what_was_said_and_done(run: Run, history: History) -> None:
    """Diagnoses, incidents, commands and acks of the run, and of all runs."""
    assert "grad_explosion" in run.diagnoses().arrow()["category"].to_pylist()
    assert run.commands().arrow()["action"].to_pylist() == ["save", "rollback"]
    assert "succeeded" in run.acks().arrow()["state"].to_pylist()
    assert run.incidents().arrow().select(["id", "state"]).to_pylist() == [
        {"id": "incident-1", "state": "resolved"}
    ]
    assert len(history.incidents()) == 1
    assert len(history.diagnoses()) == len(run.diagnoses())
    assert len(run.logs()) > len(run.logs(least_severity=17))


def test_any_query(history: History) -> None:
    """With parameters, as ClickHouse writes them."""
    sql = "SELECT count() AS rows FROM train_steps WHERE run = {wanted:String}"
    assert history.query(sql, {"wanted": "book-old"}).arrow().to_pylist() == [{"rows": STEPS * 6}]


def test_a_query_that_is_wrong(history: History) -> None:
    """Says what ClickHouse said of it, in one line."""
    with pytest.raises(NotebookError, match=r"ClickHouse refused \(code 47\): .*nonsense") as caught:
        history.query("SELECT nonsense")
    assert "\n" not in str(caught.value)


def test_export_writes_parquet(run: Run, tmp_path: Path) -> None:
    """A file for each part, which any reader of Parquet takes."""
    paths = run.export(tmp_path / "out")
    assert sorted(path.stem for path in paths) == sorted(
        ["steps", "evals", "resources", "logs", "diagnoses", "incidents", "commands", "acks"]
    )
    steps = pq.read_table(tmp_path / "out" / "steps.parquet")
    assert steps.column_names == run.steps().columns
    assert steps.num_rows == len(run.steps())


def test_export_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    """Names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="file: cannot be made: File exists"):
        run.export(tmp_path / "file")


def test_polars_where_it_is_not_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says how to get it, and what works without."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingLibraryError, match=r"polars is not installed: `pip install polars`, or take"):
        run.steps("loss").polars()


def test_polars_gives_the_same(run: Run) -> None:
    """The same numbers and times."""
    frame = run.steps("grad_norm")
    assert frame.polars()["grad_norm"].to_list() == frame.arrow()["grad_norm"].to_pylist()
    assert str(frame.polars()["time"].dtype) == "Datetime(time_unit='ns', time_zone='UTC')"


def test_a_notebook_shows_a_table(run: Run) -> None:
    """As pandas shows it; as text it says how large it is."""
    frame = run.steps("loss")
    assert "<table" in str(frame._repr_html_())
    assert repr(frame) == f"<Frame: {len(frame):,} rows of attempt, role, rank, time, step, loss>"


def test_it_finds_the_history_by_itself(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its variable, else by the running stack; without both the error says so."""
    monkeypatch.setenv(stack.ENV_CLICKHOUSE, url)
    with History() as found:
        assert len(found.runs()) >= 2
    monkeypatch.delenv(stack.ENV_CLICKHOUSE)
    monkeypatch.setenv(stack.ENV_DATA_DIR, str(tmp_path))
    with pytest.raises(
        AddressError, match="no ClickHouse is known: give its URL, set TRAINWARDEN_CLICKHOUSE"
    ):
        History()


def test_nobody_there() -> None:
    """One clear error."""
    with pytest.raises(UnreachableError, match="expected an answer from http"):
        History(f"http://127.0.0.1:{free_port()}")
