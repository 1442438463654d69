"""One rule of a pack: from its mapping to a Rule, with every mistake recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from emitter.vocabulary import diagnoses, events
from stream.rulelang import actions, fields, logs, places, runbooks, samples, summary, timing
from stream.rulelang.errors import Problems, guess, one_of
from stream.rulelang.logic import read_program
from stream.rulelang.model import LogMatch, Program, Rule
from stream.rulelang.reader import Reader
from stream.rulelang.tree import Mapping, Node, Scalar, kind, plain

MODES: Final = ("act", "approve", "shadow")
MATURITIES: Final = ("stable", "experimental")
_NOT_YET: Final = ("with", "same")


def read_rule(node: Node, pack: str, path: Path, problems: Problems) -> Rule | None:
    """The rule, or None where it could not be read; mistakes are in ``problems`` either way."""
    if not isinstance(node, Mapping):
        problems.add(node.line, node.column, f"expected a rule, got {kind(node)}")
        return None
    before = len(problems.errors)
    reader = Reader(node, problems, "a rule")
    named = node.values.get("id")
    problems.rule = named.text if isinstance(named, Scalar) else None
    try:
        rule = _read(reader, pack, path)
    finally:
        reader.finish(_NOT_YET)
        problems.rule = None
    return rule if len(problems.errors) == before else None


def _read(reader: Reader, pack: str, path: Path) -> Rule:
    text = reader.text("summary", required=True)
    template = _summary(reader, text)
    absent = timing.read_absent(reader)
    event = absent.of if absent else _event(reader)
    log = _log(reader, event) if absent is None else None
    program: Program | None = None
    params: dict[str, float] = {}
    if absent is None and event:
        program, params = read_program(reader, event, log, template)
    reader.taken |= set() if event else set(timing.LOGIC)
    for_count, for_s = timing.read_persistence(reader, absent, log is not None)
    runbook, suggestions = runbooks.read_runbook(reader, path)
    rule = Rule(
        id=reader.identifier("id") or "?",
        pack=pack,
        file=str(path),
        line=reader.node.line,
        column=reader.node.column,
        category=_category(reader),
        severity=reader.choice("severity", diagnoses.SEVERITIES, diagnoses.WARNING),
        summary=template,
        version=_version(reader.node),
        on=event,
        by=timing.read_by(reader, absent),
        program=program,
        log=log,
        absent=absent,
        for_count=for_count,
        for_s=for_s,
        keep_firing_s=reader.duration("keep_firing"),
        cooldown_s=reader.duration("cooldown"),
        settle_s=reader.duration("settle"),
        mode=reader.choice("mode", MODES, None),
        maturity=reader.choice("maturity", MATURITIES, "stable"),
        inhibited_by=tuple(item.text for item in reader.texts("inhibited_by")),
        then=actions.read_actions(reader.get("then"), reader.problems),
        runbook=runbook,
        suggestions=suggestions,
        params=params,
        tests=samples.read_samples(reader.get("tests"), reader.problems),
    )
    _check_names(reader, text, rule)
    samples.check_samples(rule, reader.problems)
    return rule


def _summary(reader: Reader, text: Scalar | None) -> summary.Template:
    if text is None:
        return summary.Template("", ())
    template, mistakes = summary.parse(text.text)
    for offset, message in mistakes:
        reader.problems.add(*places.place(text, 1, offset), message)
    return template


def _log(reader: Reader, event: str) -> LogMatch | None:
    if event == events.LOG:
        return logs.read_match(reader)
    for word in ("match", "unless"):
        if event and word in reader.node.keys:
            reader.fail(
                reader.node.keys[word], f"`{word}` belongs to rules on {events.LOG}, this is on {event}"
            )
            reader.taken.add(word)
    return None


def _event(reader: Reader) -> str:
    node = reader.text("on", required=True)
    if node is None or node.text in fields.EVENTS:
        return node.text if node else ""
    if node.text in fields.NOT_YET:
        reader.fail(node, f"rules on `{node.text}` are not supported yet")
    else:
        options = fields.EVENTS
        reader.fail(
            node,
            f'expected `on` to be one of {one_of(options)}, got "{node.text}"{guess(node.text, options)}',
        )
    return ""


def _category(reader: Reader) -> str:
    node = reader.text("category", required=True)
    if node is None:
        return ""
    if node.text not in diagnoses.CATEGORIES and not node.text.startswith(diagnoses.CUSTOM_CATEGORY_PREFIX):
        hint = guess(node.text, diagnoses.CATEGORIES)
        reader.fail(node, f'expected a known category or custom.*, got "{node.text}"{hint}')
    return node.text


def _check_names(reader: Reader, text: Scalar | None, rule: Rule) -> None:
    """Every name a summary shows must be known to the rule."""
    known = {*fields.SHOWN, *rule.params}
    if rule.program is not None:
        known |= {*rule.program.names, *fields.EVENTS[rule.on]}
    known |= {*rule.log.groups, "text"} if rule.log else set()
    known |= {"silent"} if rule.absent else set()
    if text is None or (rule.program is None and rule.absent is None):
        return
    lets = reader.node.values.get("let")
    known |= set(lets.values) if isinstance(lets, Mapping) else set()
    for name in rule.summary.names:
        if name not in known:
            offset = max(text.text.find("{" + name), 0)
            message = f"the summary shows {{{name}}}, which the rule does not name{guess(name, known)}"
            reader.problems.add(*places.place(text, 1, offset), message)


def _version(node: Mapping) -> str:
    content = {key: value for key, value in plain(node).items() if key != "tests"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
