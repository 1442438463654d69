"""The JSON Schema: shipped packs fit it, what it refuses the loader refuses too, the copy is fresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stream import resources
from stream.rulelang import RuleErrors, load_text, tree
from stream.rulelang.errors import Problems
from stream.rulelang.schema import schema
from tests.stream.rulelang.packs import GOOD

COPY = Path(__file__).parents[3] / "docs" / "rules.schema.json"


def _data(text: str) -> Any:
    problems = Problems("pack.yaml")
    node = tree.parse(text, problems)
    assert node is not None
    assert not problems.errors
    return tree.plain(node)


def _valid(text: str) -> bool:
    return not list(jsonschema.Draft202012Validator(schema()).iter_errors(_data(text)))


def test_it_is_a_schema() -> None:
    """Of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_checked_in_copy_is_fresh() -> None:
    """Write it again with: python -m tests.stream.rulelang.test_schema."""
    assert COPY.read_text() == _text()


@pytest.mark.parametrize("path", sorted(resources.path("rules").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_fits(path: Path) -> None:
    """An editor marks nothing in them."""
    found = list(jsonschema.Draft202012Validator(schema()).iter_errors(_data(path.read_text())))
    assert [f"{error.json_path}: {error.message}" for error in found] == []


@pytest.mark.parametrize(
    "lines",
    [
        "    frequency: 3\n",
        "    severity: fatal\n",
        "    mode: shadows\n",
        "    learn: never\n",
        "    for: 0\n",
        "    for: soon\n",
        "    keep_firing: 60\n",
        "    cooldown: [5m]\n",
        "    by: {run: 1}\n",
        "    by: []\n",
        "    match: [x]\n",
        "    unless: [x]\n",
        "    same: [node]\n",
        "    params: {limit: many}\n",
        "    params: {a-b: 1}\n",
        "    let: {x: [1]}\n",
        "    with: {x: null}\n",
        "    absent: {of: train.heartbeat, for: 2m}\n",
        "    runbook: ../x.md\n",
        "    then: save\n",
        "    then: [{sav: {}}]\n",
        "    then: [{save: {kind: other}}]\n",
        "    then: [{rollback: {lr_scale: -1}}]\n",
        "    then: [{pause: {if_unresolved: 5}}]\n",
        "    then: [{save: {}, pause: {}}]\n",
        "    tests: [{name: a, series: {loss: 1}}]\n",
        "    tests: [{name: a, expect: []}]\n",
        "    tests: [{name: a, series: {loss: {}}, expect: []}]\n",
        "    tests: [{name: a, series: {loss: 1}, expect: [{stop: 3}]}]\n",
        "    tests: [{name: a, series: {loss: 1}, expect: [{step: -3}]}]\n",
        "    tests: [{name: a, events: [{at: 5}], expect: []}]\n",
        "    tests: [{name: a, ranks: {first: {loss: 1}}, expect: []}]\n",
    ],
)
def test_what_the_schema_refuses_the_loader_refuses(lines: str) -> None:
    """One wrong line after a good rule."""
    assert _valid(GOOD)
    assert not _valid(GOOD + lines)
    with pytest.raises(RuleErrors):
        load_text(GOOD + lines, Path("pack.yaml"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pack: numbers\n", ""),
        ("numbers", "My Pack"),
        ("too-large", "Too Large"),
        ("loss_spike", "loss_spke"),
        ("    on: train.step\n", ""),
        ("train.step", "train.stop"),
        ("    when: loss > 10\n", ""),
        ("when: loss > 10", "when: [1]"),
        ("rules:", "rules: 3\nother:"),
    ],
)
def test_what_is_missing_or_misspelt_is_found_by_both(before: str, after: str) -> None:
    """In the rule itself."""
    text = GOOD.replace(before, after)
    assert not _valid(text)
    with pytest.raises(RuleErrors):
        load_text(text, Path("pack.yaml"))


def _text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    COPY.write_text(_text())
