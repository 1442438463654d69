"""Whatever is in a file, reading it ends with points or with one sentence."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.offline.errors import OfflineError
from stream.offline.finding import find
from stream.offline.replay import Replay
from tests.stream.offline.packs import ruleset

_STEPS = [{"step": step, "loss": 2.0, "note": "x", "eval": {"loss": None}} for step in range(20)]


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"step": list(range(20)), "loss": [1.0] * 20}), sink)
    return sink.getvalue()


GOOD = {
    "jsonl": "\n".join(map(json.dumps, _STEPS)).encode(),
    "state": json.dumps({"best_metric": None, "log_history": _STEPS}, indent=1).encode(),
    "array": json.dumps(_STEPS).encode(),
    "csv": b"step,loss\n" + b"".join(b"%d,2.5\n" % step for step in range(20)),
    "log": b"".join(b"[rank1]: iter %d: loss 2.5, time 20ms\n" % step for step in range(20)),
    "parquet": _parquet(),
    "gzip": gzip.compress(b'{"step": 1, "loss": 2}\n' * 50, mtime=0),
}
_FUZZ: Callable[[Callable[..., None]], Callable[..., None]] = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _reads_or_says(path: Path, content: bytes) -> None:
    """Everything diagnose does with a file, but for printing."""
    path.write_bytes(content)
    problems: list[OfflineError] = []
    for group in find([path], None, problems):
        replay = Replay(group, ruleset())
        made = [json.dumps(finding.to_json(), allow_nan=False) for finding in replay]
        assert all(str(path) in str(problem) for problem in [*problems, *replay.problems]), made


@pytest.mark.parametrize("kind", GOOD)
@_FUZZ
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_one_sentence(
    tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    """Cut anywhere, with bytes changed, taken out and put in."""
    content = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    del content[data.draw(st.integers(0, len(content))) :]

    _reads_or_says(tmp_path / "data", bytes(content))


@_FUZZ
@given(text=st.text(max_size=300))
def test_any_text_is_read(tmp_path: Path, text: str) -> None:
    """Lines that look like nothing we know are lines of a log."""
    _reads_or_says(tmp_path / "data", text.encode("utf-8", "surrogatepass"))


_WORDS = st.sampled_from(
    [
        "step", "loss", "epoch", "iter", ":", "=", " ", "1", "2.5", "nan", "/", "[", "]", "{'loss':",
        '{"loss":', "}", "|", "1e999", "9" * 400, "-", ",", "lr=[", "\r", "100/200 [",
        "Epoch [1/2], Step [3/4]", "(ms)",
        "val loss", "2024-05-01 10:00:00 ",
    ]
)  # fmt: skip


@_FUZZ
@given(lines=st.lists(st.lists(_WORDS, max_size=12).map("".join), max_size=5))
def test_lines_that_look_like_numbers_are_read(tmp_path: Path, lines: list[str]) -> None:
    """Also where numbers are too large, keys are missing, and brackets do not close."""
    _reads_or_says(tmp_path / "data", "\n".join(lines * 2).encode())
