"""One rule of a pack: from its mapping to a Rule, with every mistake recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from emitter.vocabulary import diagnoses, events
from stream.rulelang import actions, durations, fields, logs, runbooks, samples, summary
from stream.rulelang.errors import Problems, guess, one_of
from stream.rulelang.logic import read_program
from stream.rulelang.model import Absent, Rule
from stream.rulelang.reader import Reader, as_duration
from stream.rulelang.tree import Mapping, Node, Scalar, kind, plain

MODES: Final = ("act", "approve", "shadow")
MATURITIES: Final = ("stable", "experimental")
SERIES: Final = ("run", "role", "rank", "node")
_DEFAULT_BY: Final = ("run", "role", "rank")
_NOT_YET: Final = ("with", "same")
_MAX_COUNT: Final = 10_000
_LOGIC: Final = ("where", "params", "let", "when", "clear_when", "for", "match", "unless")


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
    absent = _absent(reader)
    event = absent.of if absent else _event(reader)
    log = logs.read_match(reader) if event == events.LOG else None
    program, params = None, {}
    if absent is None and event in fields.EVENTS:
        program, params = read_program(reader, event, log, template)
    if absent is None and not event:
        reader.taken |= set(_LOGIC)
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
        by=_by(reader, absent),
        program=program,
        log=log,
        absent=absent,
        keep_firing_s=reader.duration("keep_firing"),
        cooldown_s=reader.duration("cooldown"),
        settle_s=reader.duration("settle"),
        mode=reader.choice("mode", MODES, None),
        maturity=reader.choice("maturity", MATURITIES, "stable"),
        inhibited_by=tuple(item.text for item in reader.texts("inhibited_by")),
        then=actions.read_actions(reader.get("then"), reader.problems),
        params=params,
        tests=samples.read_samples(reader.get("tests"), reader.problems),
        **_persistence(reader, absent, log is not None),
        **runbooks.read_runbook(reader, path),
    )
    _check_names(reader, text, rule)
    return rule


def _summary(reader: Reader, text: Scalar | None) -> summary.Template:
    template, mistakes = summary.parse(text.text if text else "")
    for offset, message in mistakes if text else ():
        reader.problems.add(text.line, text.column + (1 if text.style else 0) + offset, message)
    return template


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


def _by(reader: Reader, absent: Absent | None) -> tuple[str, ...]:
    words = reader.texts("by")
    if not words:
        return _DEFAULT_BY
    for word in words:
        if word.text not in SERIES:
            reader.fail(
                word, f'expected `by` to hold {one_of(SERIES)}, got "{word.text}"{guess(word.text, SERIES)}'
            )
    found = tuple(dict.fromkeys(word.text for word in words))
    node = reader.node.values["by"]
    if "run" not in found or "rank" not in found:
        reader.fail(node, "a series over several ranks or runs is not supported yet: `by` needs run and rank")
    elif absent is not None and set(found) != set(_DEFAULT_BY):
        reader.fail(node, "another `by` than [run, role, rank] is not supported yet with `absent`")
    return found


def _absent(reader: Reader) -> Absent | None:
    node = reader.typed("absent", Mapping, "a mapping such as {of: train.heartbeat, for: 2m}")
    if node is None:
        return None
    inner = Reader(node, reader.problems, "absent")
    of = inner.text("of", required=True)
    if of is not None and of.text != events.HEARTBEAT:
        inner.fail(of, f"only the absence of {events.HEARTBEAT} is supported yet, got {kind(of)}")
    for_s = inner.duration("for") if inner.required("for") is not None else 1.0
    if for_s <= 0:
        inner.fail(node, "expected `for` to be longer than 0s")
    inner.finish()
    for word in ("on", *_LOGIC, "keep_firing"):
        if word in reader.node.keys:
            reader.fail(reader.node.keys[word], f"`{word}` has no meaning beside `absent`")
            reader.taken.add(word)
    return Absent(events.HEARTBEAT, for_s)


def _persistence(reader: Reader, absent: Absent | None, log: bool) -> dict[str, float]:
    node = reader.get("for")
    if node is None or absent is not None:
        return {}
    if log:
        reader.fail(node, "`for` is not supported yet for log rules")
        return {}
    if isinstance(node, Scalar) and type(node.value) is int:
        if 1 <= node.value <= _MAX_COUNT:
            return {"for_count": node.value}
        reader.fail(node, f"expected `for` to be from 1 to {_MAX_COUNT:,} samples, got {node.value}")
        return {}
    seconds = as_duration(node)
    if seconds is None:
        reader.fail(
            node, f"expected `for` to be a number of samples or {durations.EXPECTED}, got {kind(node)}"
        )
        return {}
    return {"for_s": seconds}


def _check_names(reader: Reader, text: Scalar | None, rule: Rule) -> None:
    """Every name a summary shows must be known to the rule."""
    known = {*fields.SHOWN, *rule.params}
    if rule.program is not None:
        known |= {*rule.program.names, *rule.program.shown}
    known |= {*rule.log.groups, "text"} if rule.log else set()
    known |= {"silent"} if rule.absent else set()
    if len(reader.problems.errors) and rule.program is None and rule.absent is None:
        return
    lets = reader.node.values.get("let")
    known |= set(lets.values) if isinstance(lets, Mapping) else set()
    for name in rule.summary.names:
        if text is not None and name not in known:
            offset = text.column + (1 if text.style else 0) + max(text.text.find("{" + name), 0)
            message = f"the summary shows {{{name}}}, which the rule does not name{guess(name, known)}"
            reader.problems.add(text.line, offset, message)


def _version(node: Mapping) -> str:
    content = {key: value for key, value in plain(node).items() if key != "tests"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
