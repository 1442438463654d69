"""docs/rules.md and docs/rules.schema.json against the code."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest

from emitter.vocabulary import events
from stream.diagnose.samples import run_samples
from stream.rulelang import RuleErrors, functions, keys, load_text, timing
from stream.rulelang.fields import EVENTS
from stream.rulelang.peer_calls import FUNCTIONS

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "rules.md").read_text()


def _rows(heading: str) -> list[list[str]]:
    rows = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def _table(heading: str) -> dict[str, str]:
    return {row[0].strip(" `").split("(")[0]: row[1].strip() for row in _rows(heading)}


def _blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_tables_of_functions_are_the_functions() -> None:
    """Every function with its meaning, in alphabetical order, and none that is not there."""
    plain = {function.name: function.meaning for function in functions.PLAIN}
    window = {function.name: function.meaning for function in functions.WINDOW}
    peers = {f"peers.{name}": meaning for name, meaning in FUNCTIONS.items()}
    assert list(_table("function").items()) == sorted(plain.items())
    assert list(_table("window function").items()) == sorted(window.items())
    assert list(_table("of the other ranks").items()) == sorted(peers.items())


@pytest.mark.parametrize(("heading", "table"), [("key", keys.RULE), ("key of a sample", keys.SAMPLE)])
def test_the_tables_of_keys_are_the_keys(heading: str, table: tuple[keys.Key, ...]) -> None:
    """Every key with its meaning and its default, in the order of the table."""
    expected = [[f"`{key.name}`", key.meaning, "required" if key.required else key.default] for key in table]
    assert [[*row, ""][:3] for row in _rows(heading)] == expected


def test_the_table_of_absence_is_its_keys() -> None:
    """What `absent` takes."""
    assert list(_table("key of absent")) == list(timing.ABSENT_KEYS)


def test_the_readers_know_the_keys_of_the_tables_and_no_others() -> None:
    """A key of the table is accepted or refused for its value, never as unknown; another one is unknown."""
    text = "pack: a\nrules:\n  - id: a\n    category: milestone\n    summary: x\n"
    text += "    on: train.step\n    when: loss > 1\n"
    sample = "    tests:\n      - name: a\n        expect: []\n"
    for table, before, space in ((keys.RULE, text, "    "), (keys.SAMPLE, text + sample, "        ")):
        for key in (*(key.name for key in table), "nonsense"):
            problems = ""
            try:
                load_text(before if f" {key}:" in before else f"{before}{space}{key}:\n", Path("a.yaml"))
            except RuleErrors as errors:
                problems = str(errors)
            assert (f"has no `{key}`" in problems) == (key == "nonsense"), key


def test_the_table_of_events_is_the_vocabulary() -> None:
    """Each event with all its own names; numbers of the metrics' list are not repeated."""
    found = {name: row[1] for row in _rows("event") for name in re.findall(r"`([^`]+)`", row[0])}
    assert list(found) == list(EVENTS)
    common = set(EVENTS[events.LIFECYCLE]) & set(EVENTS[events.METRIC]) & set(EVENTS[events.STEP])
    for event, text in found.items():
        own = [name for name in EVENTS[event] if name not in common]
        if event in (events.STEP, events.EVAL, events.RESOURCE):
            assert "emitter/vocabulary/metrics.py" in text
            own = [name for name in own if EVENTS[event][name].type == functions.TEXT]
        named = set(re.findall(r"`([^`]+)`", text)) - {"emitter/vocabulary/metrics.py", "attribute.NAME"}
        assert named == set(own), event
    assert all(f"`{name}`" in PAGE for name in common)


def test_the_example_is_a_rule_that_passes_its_sample() -> None:
    """The first block of the page, as it stands."""
    rules = load_text(dedent(_blocks()[0]), Path("page.yaml"))
    assert len(rules.rules) == 1
    assert run_samples(rules) == []


def _pack(*rules: str) -> str:
    head = "id: {}\ncategory: milestone\nsummary: x\n"
    items = [indent(head.format(f"r{index}") + rule, "    ") for index, rule in enumerate(rules)]
    return "pack: page\nrules:\n" + "".join(f"  - {item.lstrip()}" for item in items)


def test_the_joined_example_loads() -> None:
    """The block on `with`, and that on absence."""
    load_text(_pack(_blocks()[1], _blocks()[2]), Path("page.yaml"))


def test_the_samples_of_the_page_hold() -> None:
    """Each with a rule that it is about."""
    _, stalled, hot, slow, hanging = re.split(r"^  - ", _blocks()[3], flags=re.MULTILINE)
    rules = (
        "absent: {of: train.step, for: 1m, times: 3, phases: [train]}\n",
        "on: metric\nwhen: value > 90\n",
        "on: train.step\nwhen: step_time > 2 * peers.median(step_time)\nfor: 3\n",
        "absent: {of: checkpoint.save, for: 30m, after: checkpoint.started}\n",
    )
    samples = (stalled, hot, slow, hanging)
    texts = [f"{rule}tests:\n  - {sample}" for rule, sample in zip(rules, samples, strict=True)]
    assert [str(one) for one in run_samples(load_text(_pack(*texts), Path("page.yaml")))] == []
