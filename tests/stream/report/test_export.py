"""``runs export``: Parquet, a stretch of time at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stream.notebook import History
from stream.notebook import run as runs
from tests.cli.shell import Shell

pytestmark = pytest.mark.slow


def test_a_run_as_files(reported: str, shell: Shell, tmp_path: Path) -> None:
    """One for each part, with what the notebook's API gives."""
    done = shell.run("runs", "export", "char-gpt", "-o", str(tmp_path / "out"), "--clickhouse", reported)
    assert done.returncode == 0, done.stderr
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted(runs.PARTS)
    with History(reported) as history:
        steps = history.run("report-a").steps().pandas()
    # Not compared as Arrow: there no NaN equals another.
    assert pq.read_table(tmp_path / "out" / "steps.parquet").to_pandas().equals(steps)
    said = shell.fails(2, "runs", "export", "calm", "-o", str(tmp_path / "out"), "--clickhouse", reported)
    assert said.endswith("exists: name another file, or say --force to replace it")
    target = tmp_path / "steps.parquet"
    shell.run("runs", "export", "calm", "-o", str(target), "--clickhouse", reported)
    assert pq.read_table(target).num_rows == 360


def test_pieces_are_the_whole(reported: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into many stretches, no record is lost, made twice or torn, and no piece is large."""
    monkeypatch.setattr(runs, "ROWS", 40)
    monkeypatch.setattr(runs, "LOG_ROWS", 50)
    with History(reported) as history:
        run = history.run("report-x")
        for part, whole in (("steps", run.steps()), ("resources", run.resources()), ("logs", run.logs())):
            pieces = list(run.pieces(part))
            assert len(pieces) > 2, part
            assert max(map(len, pieces)) < len(whole)
            assert run.write(part, tmp_path / "part.parquet") == len(whole)
            key = [name for name in ("time", "rank", "device", "name", "body") if name in whole.columns]
            order = [(name, "ascending") for name in key]
            written = pq.read_table(tmp_path / "part.parquet").sort_by(order)
            assert written.select(key).equals(whole.arrow().sort_by(order).select(key)), part
