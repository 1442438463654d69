"""The packs that ship: each rule lies where its id says, carries proof and page, and fits the schema."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from emitter.vocabulary.diagnoses import CATEGORIES
from emitter.vocabulary.events import LOG
from stream import resources
from stream.diagnose.samples import run_samples
from stream.rulelang import Rule, load_packs, tree
from stream.rulelang.errors import Problems
from stream.rulelang.schema import schema

FOLDER = resources.path("rules")
FILES = sorted(FOLDER.rglob("*.yaml"))
RULES = load_packs([FOLDER])
HEADINGS = ["## Look at", "## Usual causes", "## What to do", "## What the actions do"]
DESTRUCTIVE = {"stop", "restart", "rollback", "exclude_node"}
each_rule = pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))


@cache
def _validator() -> Any:
    return jsonschema.Draft202012Validator(schema())


def _stem(rule: Rule) -> str:
    return Path(rule.file).stem


def test_every_sample_does_as_it_says() -> None:
    """`trainwarden rules test` on the shipped packs."""
    assert [str(failure) for failure in run_samples(RULES)] == []


@each_file
def test_every_file_fits_the_schema(file: Path) -> None:
    """What editors complete and check from is what ships."""
    node = tree.parse(file.read_text(), Problems(str(file)))
    assert isinstance(node, tree.Mapping)
    found = tree.plain(node)
    assert [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(found)] == []


@each_file
def test_every_file_is_named_by_what_it_holds(file: Path) -> None:
    """rules/<pack>/<id>.yaml, or a small family whose ids begin with the name of the file."""
    rules = [rule for rule in RULES.rules if Path(rule.file) == file]
    assert {rule.pack for rule in rules} == {file.parent.name}
    strange = [rule.id for rule in rules if rule.id != file.stem and not rule.id.startswith(f"{file.stem}-")]
    assert strange == []
    assert len(rules) <= 6


@each_rule
def test_every_rule_shows_where_it_fires_and_where_not(rule: Rule) -> None:
    """Samples of both outcomes, with names that are said once."""
    assert any(sample.expect for sample in rule.tests)
    assert any(not sample.expect for sample in rule.tests)
    names = [sample.name for sample in rule.tests]
    assert len(set(names)) == len(names)


@each_rule
def test_every_rule_has_a_page_with_its_sections(rule: Rule) -> None:
    """A page of its own or of its family, which gives at least two suggestions."""
    assert rule.runbook in {f"{rule.id}.md", f"{_stem(rule)}.md"}
    page = (Path(rule.file).parent / "runbooks" / rule.runbook).read_text()
    assert page.startswith(f"# {rule.runbook.removesuffix('.md')}\n")
    assert re.findall(r"^## .*$", page, re.MULTILINE) == HEADINGS
    assert 2 <= len(rule.suggestions) <= 5


@each_rule
def test_every_rule_speaks_in_known_words(rule: Rule) -> None:
    """Its category is one that dashboards know, and its causes are rules."""
    assert rule.category in CATEGORIES
    assert all(RULES.by_id(cause) for cause in rule.inhibited_by)


@each_rule
def test_only_certain_rules_undo_work(rule: Rule) -> None:
    """Text alone asks for people; going back is left to numbers that are certainly wrong."""
    actions = {action.name for action in rule.then}
    if rule.log is not None or rule.on == LOG:
        assert actions <= {"notify"}
    if actions & DESTRUCTIVE:
        assert rule.pack == "numerics"
        assert rule.severity == "critical" or "save" in actions


def test_no_page_is_left_over() -> None:
    """Each page belongs to a rule beside it."""
    pages = {page.relative_to(FOLDER) for page in FOLDER.rglob("runbooks/*.md")}
    named = {
        (Path(rule.file).parent / "runbooks" / str(rule.runbook)).relative_to(FOLDER) for rule in RULES.rules
    }
    assert pages == named
