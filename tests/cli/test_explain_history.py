"""`trainwarden explain` on a run in history, through a real ClickHouse endpoint."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from emitter.vocabulary import topics
from stream import cli, history
from stream.cli.options import ERROR
from stream.events import Event
from stream.explain.errors import NoRunError
from stream.explain.history import History, find_run
from stream.history.migrate import migrate
from stream.offline.points import Point
from stream.otlp.events import events_from_metrics, events_from_spans
from stream.otlp.parse import parse_metrics, parse_spans
from stream.rulelang import load_text
from stream.sink.collect import collect
from stream.sink.recent import Recent
from stream.sink.writer import Writer
from tests.cli.explained import RULES, of_logs, of_metrics, of_spans
from tests.stream.sink.build import record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stored(clickhouse_url: str) -> Iterator[str]:
    """A database of its own with one run of that content."""
    name = f"explain_{uuid.uuid4().hex[:12]}"
    url = f"{clickhouse_url}/{name}"
    migrate(url)
    writer = Writer(url)
    sent = [
        record(of_logs(), topics.OTLP_LOGS, 7),
        record(of_spans(), topics.OTLP_SPANS, 8),
        record(of_metrics(), topics.OTLP_METRICS, 9),
    ]
    for table, rows in collect(sent, Recent()).arrow().items():
        writer.insert(table, rows, f"explain {table}")
    yield url
    with history.connect(clickhouse_url) as client:
        client.command(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of these tests."""
    path = tmp_path_factory.mktemp("rules") / "why.yaml"
    path.write_text(RULES)
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


@pytest.mark.parametrize(
    ("rule", "outcomes"),
    [
        ("save-failed", {"no match": 1, "firing": 1}),
        ("save-slow", {"no match": 1, "firing": 1}),
        ("save-unverified", {"firing": 1}),
        ("save-stuck", {"no match": 1}),
        ("room", {"no match": 2, "pending": 1, "firing": 1, "missing": 2}),
    ],
)
def test_spans_and_metrics_are_rebuilt(stored: str, pack: Path, rule: str, outcomes: dict[str, int]) -> None:
    """In the order in which spans ended, by the attributes of points; texts stay texts."""
    assert _answer(stored, pack, "run-7", rule)["outcomes"] == outcomes


def test_a_span_says_what_it_was(stored: str, pack: Path) -> None:
    """Its path, which looks like a number, and what its status said."""
    (fired,) = _answer(stored, pack, "run-7", "save-failed")["firings"]

    assert (fired["summary"], fired["step"]) == ("007: full", 20)


def test_history_gives_what_the_engine_was_sent(stored: str, pack: Path) -> None:
    """Spans and points of metrics are the same events as those that ingest makes of the same bytes."""
    rules = load_text(pack.read_text(), pack)
    runs = [*events_from_spans(parse_spans(of_spans())), *events_from_metrics(parse_metrics(of_metrics()))]
    sent = {_plain(event) for run in runs for event in run.events}
    with history.connect(stored) as client:
        rebuilt = {
            _plain(point) for point in History(client, "run-7", rules, page=3)
            if point.name == "metric" or point.name in ("checkpoint.save", "checkpoint.verify")
        }  # fmt: skip

    assert rebuilt == sent


def _plain(one: Event | Point) -> tuple[object, ...]:
    return (
        one.name, one.time, one.end, one.step, one.epoch, one.body, one.status, one.metric,
        tuple(sorted(one.values.items())),
    )  # fmt: skip


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
