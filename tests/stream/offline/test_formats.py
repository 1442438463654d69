"""Formats: each is seen from its content, and gives the same steps."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.offline.points import Point
from tests.stream.offline.reading import fired, format_of, points_of

STEPS = [(0, 2.5, 1.0), (10, 2.25, 1.5), (20, math.nan, 2.0)]


def _json(value: float) -> str:
    return json.dumps("NaN" if math.isnan(value) else value)


def _jsonl(path: Path) -> None:
    path.write_text(
        "".join(f'{{"step": {s}, "loss": {_json(loss)}, "grad_norm": {g}}}\n' for s, loss, g in STEPS)
    )


def _bare_nan(path: Path) -> None:
    path.write_text("".join(json.dumps({"step": s, "loss": v, "grad_norm": g}) + "\n" for s, v, g in STEPS))


def _array(path: Path) -> None:
    path.write_text(json.dumps([{"step": s, "train_loss": v, "gnorm": g} for s, v, g in STEPS], indent=1))


def _csv(path: Path) -> None:
    path.write_text("step,train/loss,grad_norm\n" + "".join(f"{s},{v},{g}\n" for s, v, g in STEPS))


def _semicolons(path: Path) -> None:
    path.write_text("\ufeffStep;Loss/train;grad_norm\r\n" + "".join(f"{s};{v};{g}\r\n" for s, v, g in STEPS))


def _parquet(path: Path) -> None:
    columns = zip(*STEPS, strict=True)
    pq.write_table(pa.table(dict(zip(("step", "loss", "grad_norm"), map(list, columns), strict=True))), path)


def _state(path: Path) -> None:
    history: list[dict[str, float]] = [
        {"step": s, "loss": v, "grad_norm": g, "learning_rate": 1e-4} for s, v, g in STEPS
    ]
    history.append({"step": 20, "train_runtime": 10.0, "train_loss": 99.0, "total_flos": 1e9})
    path.write_text(json.dumps({"best_metric": None, "global_step": 20, "log_history": history}, indent=2))


def _text(path: Path) -> None:
    path.write_text(
        "starting\n" + "".join(f"step {s}: loss={v}, grad_norm={g} lr=0.1\n" for s, v, g in STEPS)
    )


WRITERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a.jsonl": (_jsonl, "JSON lines"),
    "bare.jsonl": (_bare_nan, "JSON lines"),
    "array.json": (_array, "JSON array"),
    "b.csv": (_csv, "CSV"),
    "c.tsv": (_semicolons, "CSV"),
    "d.parquet": (_parquet, "Parquet"),
    "trainer_state.json": (_state, "trainer_state.json"),
    "e.log": (_text, "log"),
}


def _steps(points: list[Point]) -> list[tuple[int | None, float, float]]:
    return [
        (one.step, float(one.values["loss"] or 0), float(one.values["grad_norm"] or 0))
        for one in points
        if one.name == "train.step"
    ]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("disguise", ["", "data.bin"])
def test_a_format_is_seen_from_the_content(tmp_path: Path, name: str, disguise: str) -> None:
    """Whatever the file is called, its format is found and its steps are read."""
    write, expected = WRITERS[name]
    path = tmp_path / (disguise or name)
    write(path)

    assert format_of(path) == expected
    assert repr(_steps(points_of(path))) == repr(STEPS)


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "d.parquet"])
@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_compressed_files_are_read_as_they_are(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes]
) -> None:
    """gzip and zstd are seen by their first bytes."""
    write, expected = WRITERS[name]
    plain, path = tmp_path / name, tmp_path / "packed"
    write(plain)
    path.write_bytes(compress(plain.read_bytes()))

    assert format_of(path) == expected
    assert repr(_steps(points_of(path))) == repr(STEPS)


def test_a_line_with_both_kinds_of_numbers_gives_a_step_and_an_eval(tmp_path: Path) -> None:
    """Keys of an evaluation belong to train.eval, the rest to train.step."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 5, "loss": 1, "eval_loss": 2, "val/acc": 0.5, "epoch": 0.25, "note": "x"}\n')

    step, evaluation = points_of(path)

    assert (step.name, step.step, step.epoch, step.values) == (
        "train.step",
        5,
        0.25,
        {"loss": 1, "note": "x"},
    )
    assert (evaluation.name, evaluation.values) == ("train.eval", {"eval_loss": 2, "eval_accuracy": 0.5})


def test_records_may_be_any_event(tmp_path: Path) -> None:
    """`event` names it; `rank`, `run`, `attempt`, `role` and `node` are the record's own."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"event": "train.resource", "hw.gpu.temperature": 80, "rank": 3, "run": "r", "attempt": 1, '
        '"node": "n1", "role": "actor", "time": 1700000000}\n'
        '{"message": "CUDA out of memory", "time": "2024-05-01T10:00:00.5Z", "rank": "2"}\n'
        '{"step": 1, "train": {"loss": 3.0}}\n'
    )

    sample, line, nested = points_of(path)

    assert (sample.name, sample.rank, sample.run, sample.attempt) == ("train.resource", 3, "r", 1)
    assert (sample.node, sample.role, sample.time) == ("n1", "actor", 1_700_000_000 * 10**9)
    assert (line.name, line.body, line.rank) == ("train.log", "CUDA out of memory", 2)
    assert line.time == 1_714_557_600_500_000_000
    assert nested.values == {"loss": 3.0}


def test_other_spellings_of_a_canonical_name_stay_beside_it(tmp_path: Path) -> None:
    """A name that is logged itself wins over its aliases; nothing is dropped."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1, "train_loss": 5.0, "loss": 3.0}\n')

    (point,) = points_of(path)

    assert point.values == {"train_loss": 5.0, "loss": 3.0}


def test_every_format_fires_alike(tmp_path: Path) -> None:
    """The same numbers in any format give the same finding, at the same step."""
    for name, (write, _) in WRITERS.items():
        path = tmp_path / name
        write(path)
        run = tmp_path.name if name == "trainer_state.json" else path.stem
        assert fired(path) == [("not-finite", run, 0, 0, 20)], name


_CELLS = st.one_of(
    st.floats().map(repr), st.integers(-5, 10**20).map(str),
    st.sampled_from(["", "nan", "1e5", "007", "true"]),
    st.sampled_from(['"2.5"', '"a, b"', '"two\nlines"', "null", "[1]", "\u00e9"]),
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_CELLS, min_size=2, max_size=2), max_size=5), st.sampled_from([",", ";", "\t"]))
def test_a_table_is_read_as_the_csv_module_reads_it(
    tmp_path: Path, cells: list[list[str]], mark: str
) -> None:
    """Whether its blocks are numbers alone, which is faster, or not: the same values at the same lines."""
    path = tmp_path / "any.csv"
    text = "".join(f"{step}{mark}{mark.join(row)}\n" for step, row in enumerate(cells))
    path.write_text(f"step{mark}loss{mark}lr\n1{mark}2{mark}3\n{text}")

    reader = csv.reader(text.splitlines(keepends=True), delimiter=mark)
    rows = [(reader.line_num + 2, row) for row in reader if len(row) == 3]
    expected = [(line, int(row[0]), _values(row)) for line, row in rows if _values(row)]

    found = points_of(path)[1:]
    assert repr([(one.line, one.step, _plain(one.values)) for one in found]) == repr(expected)


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: float(value) if isinstance(value, int) else value for name, value in values.items()}


def _values(row: list[str]) -> dict[str, object]:
    return {name: _value(cell) for name, cell in zip(("loss", "learning_rate"), row[1:], strict=True) if cell}


def _value(cell: str) -> object:
    try:
        return float(cell)
    except ValueError:
        return cell
