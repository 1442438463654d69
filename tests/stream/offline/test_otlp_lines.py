"""Files that the emitter wrote, through the rules without any service."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import emitter
from stream.offline.finding import find
from stream.offline.formats import OTLP
from stream.offline.opening import opened
from stream.offline.otlpjson import read
from stream.offline.points import Notes
from tests.stream.offline.reading import fired, format_of, points_of


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TRAINWARDEN_STRICT", "1")
    yield
    emitter.shutdown()


def train(folder: Path, rank: int = 0, steps: int = 5, bad: int = -1) -> None:
    """A run that writes into files; its loss is NaN from the step ``bad`` on."""
    emitter.init(
        run="gpt", run_id="gpt-1", rank=rank, world_size=2, endpoint=f"file://{folder}?rotate=2000",
        resources=False, logs=False, hooks=False, flush_s=0.001,
    )  # fmt: skip
    for step in range(steps):
        emitter.step(step, loss=math.nan if 0 <= bad <= step else 1.0)
    with emitter.checkpoint(steps, "there"):
        pass
    emitter.shutdown()


def test_records_come_back_with_who_sent_them(tmp_path: Path) -> None:
    """Name, step, time, rank, attempt and run as the emitter had them."""
    train(tmp_path, rank=1, steps=3)
    path = min(tmp_path.glob("*-logs-*"))

    assert format_of(path) == OTLP
    points = [point for one in sorted(tmp_path.glob("*-logs-*")) for point in points_of(one)]
    steps = [point for point in points if point.name == "train.step"]
    assert [point.step for point in steps] == [0, 1, 2]
    assert {(point.run, point.rank, point.attempt) for point in points} == {("gpt-1", 1, 0)}
    assert all(point.time and point.time > 10**18 for point in points)
    assert [point.values["loss"] for point in steps] == [1.0] * 3


def test_spans_come_back_with_their_duration(tmp_path: Path) -> None:
    """checkpoint.save as a rule sees it."""
    train(tmp_path)
    (path,) = tmp_path.glob("*-traces-*")

    (point,) = points_of(path)
    assert point.name == "checkpoint.save"
    assert point.status == "ok"
    assert point.end is not None
    assert point.values["duration"] == (point.end - (point.time or 0)) / 1e9


def test_a_folder_of_ranks_and_parts_is_one_run(tmp_path: Path) -> None:
    """Rotated files, both signals, both ranks, one of them compressed: one group, one finding a rank."""
    for rank in range(2):
        train(tmp_path, rank, steps=20, bad=15)
    first = min(tmp_path.glob("*-logs-*"))
    with gzip.open(f"{first}.gz", "wb") as file:
        file.write(first.read_bytes())
    first.unlink()

    (group,) = find([tmp_path], None, [])
    assert group.run == "gpt"
    assert len(group.files) > 4
    found = [(rule, run, rank, step) for rule, run, _, rank, step in fired(tmp_path) if "finite" in rule]
    assert sorted(found, key=str) == [
        ("not-finite", "gpt-1", 0, 15),
        ("not-finite", "gpt-1", 1, 15),
    ]


def test_a_line_that_was_cut_is_told_and_skipped(tmp_path: Path) -> None:
    """What came before counts."""
    record = {"timeUnixNano": "5", "eventName": "train.step", "attributes": []}
    line = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    path = tmp_path / "x.jsonl"
    path.write_text(f"{line}\n{line[:-9]}")
    notes = Notes(str(path))

    with opened(path, str(path)) as source:
        points = list(read(source, notes))

    assert [point.name for point in points] == ["train.step"]
    assert (notes.bad, notes.first_bad) == (1, 2)
    assert notes.message.endswith("(the line has no end: its writer was stopped)")


def test_metrics_of_a_collector_are_points(tmp_path: Path) -> None:
    """Its file exporter writes metrics in the same form."""
    point = {"timeUnixNano": "7", "asDouble": 2.5}
    metric = {"name": "DCGM_FI_DEV_GPU_TEMP", "gauge": {"dataPoints": [point]}}
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}) + "\n")

    (found,) = points_of(path)
    assert (found.name, found.metric, found.values["value"]) == ("metric", "DCGM_FI_DEV_GPU_TEMP", 2.5)
