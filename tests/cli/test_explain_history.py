"""`trainwarden explain` on a run in history, through a real ClickHouse endpoint."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream import cli, history
from stream.cli.options import ERROR
from stream.explain.errors import NoRunError
from stream.explain.history import History, find_run
from stream.history.migrate import migrate
from stream.rulelang import load_text
from stream.sink.collect import collect
from stream.sink.recent import Recent
from stream.sink.writer import Writer
from tests.cli.test_explain import PACK
from tests.stream.sink.build import RESOURCE, T0, logs, record

pytestmark = pytest.mark.slow

SECOND = 10**9
EXTRA = """\
  - id: silent
    category: unreachable
    summary: "s"
    absent: {of: train.heartbeat, for: 30s}
  - id: hot
    category: gpu_throttle
    summary: "s"
    on: train.resource
    when: hw.gpu.temperature > 90
  - id: worse
    category: overfitting
    summary: "s"
    on: train.eval
    when: eval_loss > 5
"""


def _record(
    event: str, second: int, values: dict[str, object], step: int | None = None, body: str | None = None
) -> dict[str, Any]:
    attributes = {"train.seq": second, **({"train.step": step} if step is not None else {}), **values}
    return {"event": event, "time": T0 + second * SECOND, "body": body, "attributes": attributes}


def _sent() -> list[dict[str, Any]]:
    """A run of 30 steps with an explosion, one eval, a heartbeat, a hot GPU and an out-of-memory line."""
    norms = [1.0] * 20 + [30.0, 30.0] + [1.0] * 8
    return [
        *(
            _record("train.step", step, {"loss": 1.0, "grad_norm": norm, "train.epoch": 0.5}, step)
            for step, norm in enumerate(norms)
        ),
        _record("train.eval", 30, {"eval_loss": 9.0}, 29),
        _record("train.heartbeat", 31, {"train.phase": "train", "progress.age": 1.5}, 29),
        _record("train.resource", 32, {"hw.id": "gpu-0", "hw.gpu.temperature": 95.0}),
        _record("train.log", 33, {}, body="CUDA out of memory"),
        _record("train.log", 300, {}, body="still here, but silent"),
    ]


@pytest.fixture(scope="module")
def stored(clickhouse_url: str) -> Iterator[str]:
    """A database of its own with one run of that content."""
    name = f"explain_{uuid.uuid4().hex[:12]}"
    url = f"{clickhouse_url}/{name}"
    migrate(url)
    request = logs(*_sent(), resource={**RESOURCE, "train.run.id": "run-7", "train.run.name": "gpt-small"})
    writer = Writer(url)
    for table, rows in collect([record(request)], Recent()).arrow().items():
        writer.insert(table, rows, f"explain {table}")
    yield url
    with history.connect(clickhouse_url) as client:
        client.command(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of these tests."""
    path = tmp_path_factory.mktemp("rules") / "why.yaml"
    path.write_text(PACK + EXTRA)
    return path


def _answer(stored: str, pack: Path, run: str, rule: str, *more: str) -> dict[str, Any]:
    words = ["explain", run, rule, "--rules", str(pack), "--clickhouse", stored, "--json", *more]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("run", ["run-7", "gpt-small"])
def test_a_run_is_found_by_id_or_name(stored: str, pack: Path, run: str) -> None:
    """Its steps are judged as they were: where it fired, and what each part of the condition was."""
    whole = _answer(stored, pack, run, "jump")
    there = _answer(stored, pack, run, "jump", "--step", "20")

    assert [(one["step"], one["rank"], one["time"][:4]) for one in whole["firings"]] == [(21, 3, "2026")]
    assert (whole["run"], whole["outcomes"]["where"]) == ("run-7", 4)
    assert there["moments"][0]["why"] == "it matches, 1 of 2 samples in a row"
    assert there["moments"][0]["conditions"][0]["shown"] == "ratio 30 > limit 10"


@pytest.mark.parametrize(
    ("rule", "outcome"), [("worse", "firing"), ("hot", "firing"), ("oom", "firing"), ("silent", "firing")]
)
def test_every_kind_of_event_is_rebuilt(stored: str, pack: Path, rule: str, outcome: str) -> None:
    """Evals, resources, log lines and heartbeats."""
    assert outcome in _answer(stored, pack, "run-7", rule)["outcomes"]


def test_pages_give_what_one_query_gives(stored: str, pack: Path) -> None:
    """However few rows are asked for at once, the same points come, whole and once."""
    rules = load_text(pack.read_text(), pack)
    with history.connect(stored) as client:
        whole = list(History(client, "run-7", rules))
        paged = [repr(list(History(client, "run-7", rules, page=size))) for size in (3, 7, 60)]

    assert paged == [repr(whole)] * 3
    assert [point.step for point in whole if point.name == "train.step"] == list(range(30))
    assert whole[0].values == {"loss": 1.0, "grad_norm": 1.0}
    assert (whole[0].rank, whole[0].attempt, whole[0].role, whole[0].epoch) == (3, 2, "trainer", 0.5)


def test_an_unknown_run_is_an_error_with_a_guess(stored: str, pack: Path) -> None:
    """One line; exit code 3."""
    words = ["explain", "gpt-smal", "jump", "--rules", str(pack), "--clickhouse", stored]
    result = CliRunner().invoke(cli.app, words)

    assert result.exit_code == ERROR
    assert 'got "gpt-smal"; did you mean "gpt-small"?' in result.stderr
    with history.connect(stored) as client, pytest.raises(NoRunError):
        find_run(client, "nothing like it")
