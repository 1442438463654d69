"""The ``tests`` of a rule: series or log lines, and the transitions expected of them."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.metrics import canonical
from stream.rulelang import series
from stream.rulelang.errors import Problems, guess
from stream.rulelang.fields import EVENTS
from stream.rulelang.model import Expected, Rule, Sample
from stream.rulelang.reader import Reader, as_duration
from stream.rulelang.tree import List, Mapping, Node, Scalar, kind

_DEFAULT_EVERY_S: Final = 1.0
_POSITIONS: Final = ("step", "line", "at")


def read_samples(node: Node | None, problems: Problems) -> tuple[Sample, ...]:
    """The samples of one rule; every mistake is in ``problems``."""
    if node is None:
        return ()
    if not isinstance(node, List):
        problems.add(node.line, node.column, f"expected `tests` to be a list, got {kind(node)}")
        return ()
    return tuple(sample for item in node.items if (sample := _sample(item, problems)) is not None)


def check_samples(rule: Rule, problems: Problems) -> None:
    """A sample must feed what its rule reads, or it proves nothing."""
    known = _fed(rule)
    for sample in rule.tests:
        if (rule.log is not None) != bool(sample.lines):
            wanted = "`lines`, for a log rule" if rule.log else "`series`, for this rule"
            problems.add(sample.line, sample.column, f"expected the sample to have {wanted}")
            continue
        for name in sample.series:
            if canonical(name) not in known:
                message = f'the rule reads no series "{name}"{guess(name, known)}'
                problems.add(sample.line, sample.column, message)


def _fed(rule: Rule) -> set[str]:
    if rule.absent is not None:
        return {rule.absent.of}
    offered = {field.slot.name for field in EVENTS.get(rule.on, {}).values() if field.slot.place == "value"}
    read = {slot.name for slot in rule.program.slots if slot.place == "value"} if rule.program else set()
    return offered | read


def _sample(node: Node, problems: Problems) -> Sample | None:
    if not isinstance(node, Mapping):
        problems.add(
            node.line,
            node.column,
            f"expected a sample with name, series or lines, and expect, got {kind(node)}",
        )
        return None
    reader = Reader(node, problems, "a sample")
    name = reader.text("name", required=True)
    every_s = reader.duration("every", _DEFAULT_EVERY_S)
    values = _series(reader.typed("series", Mapping, "a mapping of name to series"), problems)
    lines = tuple(line.text for line in reader.texts("lines"))
    expect = _expected(reader.required("expect"), "expect", problems)
    resolved = reader.get("resolved")
    if ("series" in node.values) == ("lines" in node.values):
        problems.add(node.line, node.column, "a sample needs one of `series` and `lines`")
    if every_s <= 0:
        problems.add(node.line, node.column, "expected `every` to be longer than 0s")
    reader.finish()
    ends = None if resolved is None else _expected(resolved, "resolved", problems)
    return Sample(name.text if name else "", node.line, node.column, values, lines, every_s, expect, ends)


def _series(node: Mapping | None, problems: Problems) -> dict[str, tuple[float | None, ...]]:
    found: dict[str, tuple[float | None, ...]] = {}
    for name, value in node.values.items() if node is not None else ():
        if not isinstance(value, Scalar) or value.value is None or isinstance(value.value, bool):
            problems.add(
                value.line, value.column, f'expected a series such as "1x100 25x3", got {kind(value)}'
            )
            continue
        try:
            found[name] = series.parse(value.text)
        except series.SeriesError as error:
            quote = 1 if value.style else 0
            problems.add(value.line, value.column + quote + error.offset, str(error))
    return found


def _expected(node: Node | None, key: str, problems: Problems) -> tuple[Expected, ...]:
    if node is None:
        return ()
    if not isinstance(node, List):
        problems.add(
            node.line, node.column, f"expected `{key}` to be a list such as [{{step: 102}}], got {kind(node)}"
        )
        return ()
    return tuple(item for entry in node.items if (item := _one(entry, problems)) is not None)


def _one(node: Node, problems: Problems) -> Expected | None:
    if not isinstance(node, Mapping) or len(node.values) != 1 or not node.values.keys() & set(_POSITIONS):
        problems.add(
            node.line, node.column, f"expected one of {{step: N}}, {{line: N}}, {{at: 2m}}, got {kind(node)}"
        )
        return None
    ((word, value),) = node.values.items()
    if word == "at":
        seconds = as_duration(value)
        if seconds is not None:
            return Expected(at_s=seconds)
    elif isinstance(value, Scalar) and type(value.value) is int and value.value >= 0:
        return Expected(step=value.value) if word == "step" else Expected(line=value.value)
    wanted = "a duration" if word == "at" else "a whole number"
    problems.add(value.line, value.column, f"expected `{word}` to be {wanted}, got {kind(value)}")
    return None
