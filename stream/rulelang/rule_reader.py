"""One rule of a pack: from its mapping to a Rule, with every mistake recorded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Final

from emitter.vocabulary import diagnoses, events
from stream.rulelang import actions, fields, grouping, logs, places, runbooks, samples, summary, timing
from stream.rulelang.context import Context
from stream.rulelang.errors import Problems, guess, one_of
from stream.rulelang.logic import read_program
from stream.rulelang.model import LogMatch, Program, Rule
from stream.rulelang.params import Overriding
from stream.rulelang.reader import Reader
from stream.rulelang.sample_series import Target
from stream.rulelang.tree import Mapping, Node, Scalar, kind, plain

MODES: Final = ("act", "approve", "shadow")
MATURITIES: Final = ("stable", "experimental")
LEARN: Final = ("all", "calm")


def read_rule(node: Node, context: Context, problems: Problems) -> Rule | None:
    """The rule, or None where it could not be read; mistakes are in ``problems`` either way."""
    if not isinstance(node, Mapping):
        problems.add(node.line, node.column, f"expected a rule, got {kind(node)}")
        return None
    before = len(problems.errors)
    reader = Reader(node, problems, "a rule")
    named = node.values.get("id")
    problems.rule = named.text if isinstance(named, Scalar) else None
    try:
        rule = _read(reader, context)
    finally:
        reader.finish()
        problems.rule = None
    return rule if len(problems.errors) == before else None


def _read(reader: Reader, context: Context) -> Rule:
    rule_id = reader.identifier("id") or "?"
    overriding = context.overriding(rule_id)
    text = reader.text("summary", required=True)
    template = _summary(reader, text)
    absent = timing.read_absent(reader)
    event = absent.of if absent else _event(reader)
    log = _log(reader, event) if absent is None else None
    program: Program | None = None
    params: dict[str, float] = {}
    if absent is None and event:
        program, params = read_program(reader, event, log, template, overriding)
    reader.taken |= set() if event else {*timing.LOGIC, "by"}
    for_count, for_s = timing.read_persistence(reader, absent)
    by, keys = (
        grouping.read_by(reader, event, absent, log.groups if log else (), program) if event else ((), ())
    )
    runbook, suggestions = runbooks.read_runbook(reader, context)
    rule = Rule(
        id=rule_id,
        pack=context.pack,
        file=context.file,
        line=reader.node.line,
        column=reader.node.column,
        category=_category(reader),
        severity=reader.choice("severity", diagnoses.SEVERITIES, diagnoses.WARNING),
        summary=template,
        version=_version(reader.node, overriding),
        on=event,
        by=by,
        keys=keys,
        same=grouping.read_same(reader),
        learn_all=reader.choice("learn", LEARN, "all") == "all" if absent is None else True,
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
        inhibited_by=_causes(reader, context, rule_id),
        then=actions.read_actions(reader.get("then"), reader.problems),
        runbook=runbook,
        suggestions=suggestions,
        params=params,
    )
    context.mention(context.declared, rule_id, reader.node, rule_id)
    _check_names(reader, text, rule)
    return replace(rule, tests=samples.read_samples(reader.get("tests"), _target(rule), reader.problems))


def _target(rule: Rule) -> Target:
    """What the samples of a rule feed."""
    if rule.absent is not None:
        return Target(rule.absent.of, frozenset(filter(None, (rule.absent.of, rule.absent.after))))
    reads: dict[str, frozenset[str]] = {}
    if rule.program is not None:
        reads[rule.on] = frozenset(slot.name for slot in rule.program.slots if slot.place == "value")
        for window in rule.program.windows:
            if window.event is not None:
                names = frozenset(slot.name for slot in window.slots if slot.place == "value")
                reads[window.event] = reads.get(window.event, frozenset()) | names
    events = frozenset() if rule.on == fields.DIAGNOSIS else frozenset({rule.on})
    return Target(rule.on, events, reads)


def _causes(reader: Reader, context: Context, rule_id: str) -> tuple[str, ...]:
    nodes = reader.texts("inhibited_by")
    for node in nodes:
        if node.text == rule_id:
            reader.fail(node, "a rule cannot keep itself quiet: inhibited_by names the rule it stands in")
        else:
            context.mention(context.causes, rule_id, node, node.text)
    return tuple(dict.fromkeys(node.text for node in nodes))


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
    options = fields.EVENTS
    hint = guess(node.text, options)
    reader.fail(node, f'expected `on` to be one of {one_of(options)}, got "{node.text}"{hint}')
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
    if text is None or (rule.program is None and rule.absent is None):
        return
    known = {*fields.SHOWN, *rule.params}
    for word in ("let", "with"):
        node = reader.node.values.get(word)
        known |= set(node.values) if isinstance(node, Mapping) else set()
    known |= set(fields.EVENTS[rule.on]) if rule.program is not None else {"silent"}
    known |= {*rule.log.groups, "text"} if rule.log else set()
    for name in rule.summary.names:
        if name not in known and (rule.program is None or fields.find(rule.on, name) is None):
            offset = max(text.text.find("{" + name), 0)
            message = f"the summary shows {{{name}}}, which the rule does not name{guess(name, known)}"
            reader.problems.add(*places.place(text, 1, offset), message)


def _version(node: Mapping, overriding: Overriding) -> str:
    content = {key: value for key, value in plain(node).items() if key != "tests"}
    if overriding:
        content["overridden"] = {name: dict(runs) for name, runs in overriding.items()}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
