"""Which lines of a traceback are sent: not those of an exception that the rank reports itself."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter import _pulse
from emitter.vocabulary import supervision
from stream.supervise.ending import Tail
from stream.supervise.tracebacks import MOST_LINES, Reported, Tracebacks


def through(folder: Path, lines: list[str]) -> list[str]:
    """What is sent of these lines."""
    tail, tracebacks = Tail(), Tracebacks(Reported(folder))
    sent = [one for line in lines for one in tracebacks.take(line, tail.take(line))]
    return sent + tracebacks.rest()


def trace(error: Exception, cause: OSError | None = None) -> str:
    """As Python prints it."""
    try:
        try:
            if cause is not None:
                raise cause
        except OSError:
            raise error  # noqa: B904 - a context is wanted, not a cause
        raise error
    except Exception as raised:  # noqa: BLE001
        return "".join(traceback.format_exception(raised))


def lines_of(text: str, prefix: str = "") -> list[str]:
    return [prefix + line for line in text.splitlines() if line.strip()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the pulses, as an emitter finds it."""
    monkeypatch.setenv(supervision.ENV_PULSE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("prefix", ["", "[rank3]: "])
@pytest.mark.parametrize(
    "text",
    [trace(ValueError("bad luck")), trace(ValueError("two\nlines")), trace(KeyError("b"), OSError("a"))],
    ids=["plain", "several lines", "chained"],
)
def test_what_the_rank_reports_is_not_sent_again(folder: Path, text: str, prefix: str) -> None:
    """Neither are further lines of its message, nor the one that it followed; what stands around it is."""
    _pulse.reported(text)

    assert through(folder, ["before", *lines_of(text, prefix), "after"]) == ["before", "after"]


def test_another_exception_is_sent(folder: Path) -> None:
    """One that was caught and printed, in its order."""
    _pulse.reported(trace(ValueError("bad luck")))
    lines = ["before", *lines_of(trace(ValueError("worse luck"))), "after"]

    assert through(folder, lines) == lines


def test_a_line_of_another_rank_is_sent_at_once(folder: Path) -> None:
    """It stands in the middle of the traceback, and is none of it."""
    text = trace(ValueError("bad luck"))
    _pulse.reported(text)
    ours = lines_of(text, "[rank0]: ")

    assert through(folder, [*ours[:2], "step 7", *ours[2:]]) == ["step 7"]


def test_what_never_ends_is_sent(folder: Path) -> None:
    """A traceback without its last line, and one that is too long to be one."""
    begin = "Traceback (most recent call last):"
    endless = [begin, *(f"  File {number}" for number in range(MOST_LINES + 9))]

    assert through(folder, [begin, '  File "a"']) == [begin, '  File "a"']
    assert through(folder, endless) == endless


def test_rows_that_are_none_are_passed_over(folder: Path) -> None:
    """A file that was damaged costs no line."""
    file = folder / supervision.EXCEPTIONS_FILE
    file.write_text("{\n[]\n" + json.dumps({"lines": ["OSError: x"]}) + "\nhalf a row")

    assert "OSError: x" in Reported(folder)
    assert "half a row" not in Reported(folder)


@given(st.lists(st.sampled_from(["a", "  b", "Traceback (most recent call last):", "KeyError: 1", "[r]: x"])))
def test_without_reports_every_line_is_sent_once(lines: list[str]) -> None:
    """In the order in which they came, whatever they look like."""
    assert through(Path("/nonexistent"), lines) == lines
