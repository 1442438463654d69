"""docs/rules.md against the code."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from stream.diagnose.samples import run_samples
from stream.rulelang import RuleErrors, functions, load_text
from stream.rulelang.fields import EVENTS

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()


def _table(heading: str) -> dict[str, str]:
    rows = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return {cells[1].strip(" `").split("(")[0]: cells[2].strip() for row in rows if (cells := row.split("|"))}


def test_the_tables_of_functions_are_the_functions() -> None:
    """Every function with its meaning, in alphabetical order, and none that is not there."""
    plain = {function.name: function.meaning for function in functions.PLAIN}
    window = {function.name: function.meaning for function in functions.WINDOW}
    assert list(_table("function").items()) == sorted(plain.items())
    assert list(_table("window function").items()) == sorted(window.items())


def test_the_keys_of_the_page_are_known_to_the_loader() -> None:
    """Each key of the table is accepted or refused for its value, never as unknown."""
    text = "pack: a\nrules:\n  - id: a\n    category: milestone\n    summary: x\n"
    text += "    on: train.step\n    when: loss > 1\n"
    keys = [key.strip("` ") for cell in _table("key") for key in cell.split(",")]
    assert len(keys) > 20
    for key in keys:
        problems = ""
        try:
            load_text(text if f" {key}:" in text else f"{text}    {key}:\n", Path("a.yaml"))
        except RuleErrors as errors:
            problems = str(errors)
        assert f"has no `{key}`" not in problems


def test_the_example_is_a_rule_that_passes_its_sample() -> None:
    """The first block of the page, as it stands."""
    block = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    rules = load_text(dedent(block[1]), Path("page.yaml"))
    assert len(rules.rules) == 1
    assert run_samples(rules) == []


def test_the_events_of_the_page_exist() -> None:
    """`on` names events the language knows."""
    assert {"train.step", "train.eval", "train.log", "train.lifecycle", "checkpoint.save"} <= set(EVENTS)
