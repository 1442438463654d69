"""Lines out of pieces, their severity, and the limit on their rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter._records import DEBUG, ERROR, FATAL, INFO, WARNING
from emitter.probes.lines import LONGEST, Assembler, Outlet, plain, severity

PIECES = st.lists(st.text(alphabet="ab \r\n", max_size=6), max_size=12)


@given(PIECES)
def test_pieces_make_no_difference(pieces: list[str]) -> None:
    """The same text in other pieces gives the same lines."""
    text = "".join(pieces)
    assembler, whole = Assembler(), Assembler()
    found = [line for piece in pieces for line in assembler.feed(piece)] + assembler.flush()

    assert found == whole.feed(text) + whole.flush()
    assert found == [line for part in text.split("\n") if (line := plain(part))]


def test_a_progress_bar_is_its_last_state() -> None:
    """Carriage returns overwrite; nothing of the states before is kept, and colours go."""
    assembler = Assembler()
    for percent in range(100):
        assert assembler.feed(f"\r{percent:3}%|\x1b[32m###\x1b[0m") == []
        assert len(assembler._partial) < 40
    assert assembler.feed("\r100%|####\r\nnext") == ["100%|####"]
    assert assembler.flush() == ["next"]


def test_windows_line_ends() -> None:
    """A return before a newline is no overwriting, also where a piece ends between them."""
    assembler = Assembler()

    assert assembler.feed("one\r\ntwo\r") == ["one"]
    assert assembler.feed("\nthree\r\n") == ["two", "three"]


def test_a_line_without_end_is_cut() -> None:
    """Memory is bounded: what is too long for a line becomes several."""
    assembler = Assembler()
    found = assembler.feed("x" * (2 * LONGEST + 5))

    assert [len(line) for line in found] == [LONGEST, LONGEST]
    assert assembler.flush() == ["xxxxx"]


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("2024-01-01 00:00:00,000 ERROR trainer: lost", ERROR),
        ("[rank0] WARNING: slow", WARNING),
        ("WARN x", WARNING),
        ("CRITICAL:root:stop", FATAL),
        ("DEBUG y", DEBUG),
        ("an error in lower case, ERRORS in the plural", INFO),
        ("x" * 100 + " ERROR far from the beginning", INFO),
    ],
)
def test_severity(line: str, number: int) -> None:
    """The word for a level near the beginning counts, as loggers write it."""
    assert severity(line) == number


class Kept:
    """What an outlet sent, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[tuple[str, int, dict[str, Any]]] = []

    def emit(self, body: str, number: int, about: Mapping[str, Any]) -> None:
        self.sent.append((body, number, dict(about)))


def test_too_many_lines_are_counted() -> None:
    """A burst of ten seconds' worth passes, then so many a second; what is left out is told as one line."""
    kept = Kept()
    outlet = Outlet(kept.emit, "run.log", 5, lambda: kept.now)
    for index in range(70):
        outlet.send(f"line {index}", INFO, {})
    assert [body for body, _, _ in kept.sent] == [f"line {index}" for index in range(50)]
    kept.now = 1.0
    for index in range(70, 80):
        outlet.send(f"line {index}", INFO, {})
    outlet.tell()
    assert len(kept.sent) == 55
    kept.now = 10.0
    outlet.tell()
    outlet.tell()

    assert kept.sent[55:] == [
        ("25 lines of run.log were left out: more than 5 a second", WARNING,
         {"log.dropped": 25, "logger.name": "emitter"}),
    ]  # fmt: skip
    assert outlet.dropped + 55 == 80
