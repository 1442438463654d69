"""What the checker says of a pack with every kind of mistake, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.rulelang import RuleErrors, load_texts

GOLDEN = Path(__file__).parent / "golden"


def _output() -> str:
    with pytest.raises(RuleErrors) as caught:
        load_texts({"broken.yaml": (GOLDEN / "broken.yaml").read_text()})
    return f"{caught.value}\n"


def test_every_mistake_is_told_at_once_with_place_expectation_and_guess() -> None:
    """broken.txt is the output; write it again with: python -m tests.stream.rulelang.test_checker_output."""
    assert _output() == (GOLDEN / "broken.txt").read_text()


def test_the_places_are_in_the_file() -> None:
    """Every line and column exists."""
    lines = (GOLDEN / "broken.yaml").read_text().splitlines()
    for error in (GOLDEN / "broken.txt").read_text().splitlines():
        _, line, column, _ = error.split(":", 3)
        assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1, error


if __name__ == "__main__":
    (GOLDEN / "broken.txt").write_text(_output())
