"""The ``tests`` of a rule: what is sent, and the transitions expected of it."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary import events
from stream.rulelang.errors import Problems
from stream.rulelang.model import Expected, Sample
from stream.rulelang.reader import Reader, as_duration
from stream.rulelang.sample_events import read_events
from stream.rulelang.sample_series import MAX_RANKS, Target, read_lines, read_ranks, read_series
from stream.rulelang.tree import List, Mapping, Node, Scalar, kind

DEFAULT_EVERY_S: Final = 1.0
MAX_TICKS: Final = 100_000
FED_BY: Final = ("series", "lines", "ranks", "events")
POSITIONS: Final = ("step", "line", "at")


def read_samples(node: Node | None, target: Target, problems: Problems) -> tuple[Sample, ...]:
    """The samples of one rule; every mistake is in ``problems``."""
    if node is None:
        return ()
    if not isinstance(node, List):
        problems.add(node.line, node.column, f"expected `tests` to be a list, got {kind(node)}")
        return ()
    return tuple(sample for item in node.items if (sample := _sample(item, target, problems)) is not None)


def _sample(node: Node, target: Target, problems: Problems) -> Sample | None:
    if not isinstance(node, Mapping):
        wanted = "a sample with name, series or lines, and expect"
        problems.add(node.line, node.column, f"expected {wanted}, got {kind(node)}")
        return None
    reader = Reader(node, problems, "a sample")
    name = reader.text("name", required=True)
    every_s, until_s = reader.duration("every", DEFAULT_EVERY_S), reader.duration("until")
    ranks = [read_series(reader, target), *read_lines(reader), *read_ranks(reader, target)]
    single = read_events(reader, target)
    expect = _expected(reader.required("expect"), "expect", problems)
    resolved = reader.get("resolved")
    ends = None if resolved is None else _expected(resolved, "resolved", problems)
    _check(reader, every_s, until_s)
    reader.finish()
    sample = Sample(
        name.text if name else "", node.line, node.column,
        tuple(rank for rank in ranks if rank is not None), single, every_s, until_s, expect, ends,
    )  # fmt: skip
    _reaches(sample, reader, target)
    return sample


def _check(reader: Reader, every_s: float, until_s: float) -> None:
    given = [word for word in FED_BY if word in reader.node.values]
    if not given:
        reader.fail(reader.node, "a sample needs one of `series`, `lines`, `ranks` and `events`")
    if "ranks" in given and {"series", "lines"} & set(given):
        reader.fail(reader.node.keys["ranks"], "a sample with `ranks` has its series and lines in there")
    if every_s <= 0:
        reader.fail(reader.node.values["every"], "expected `every` to be longer than 0s")
    elif until_s > every_s * MAX_TICKS:
        reader.fail(
            reader.node.values["until"], f"expected `until` to be at most {MAX_TICKS:,} times `every`"
        )


def _reaches(sample: Sample, reader: Reader, target: Target) -> None:
    """A sample must feed what its rule is on, or it proves nothing."""
    sent = {event for rank in sample.ranks for event in rank.series} | {one.event for one in sample.events}
    sent |= {events.LOG} if sample.lines else set()
    if sent and target.needs and not target.needs & sent:
        wanted = "`lines`, for a log rule" if events.LOG in target.needs else "`series`, for this rule"
        reader.fail(reader.node, f"expected the sample to have {wanted}")


def _expected(node: Node | None, key: str, problems: Problems) -> tuple[Expected, ...]:
    if node is None:
        return ()
    if not isinstance(node, List):
        wanted = "a list such as [{step: 102}]"
        problems.add(node.line, node.column, f"expected `{key}` to be {wanted}, got {kind(node)}")
        return ()
    return tuple(item for entry in node.items if (item := _one(entry, problems)) is not None)


def _one(node: Node, problems: Problems) -> Expected | None:
    given = set(node.values) if isinstance(node, Mapping) else set()
    if not isinstance(node, Mapping) or len(given & set(POSITIONS)) != 1 or given - {*POSITIONS, "rank"}:
        wanted = "one of {step: N}, {line: N}, {at: 2m}, with `rank: N` where there are several"
        problems.add(node.line, node.column, f"expected {wanted}, got {kind(node)}")
        return None
    rank = _whole(node.values["rank"], "rank", problems, MAX_RANKS) if "rank" in given else None
    (word,) = given & set(POSITIONS)
    value = node.values[word]
    if word != "at":
        number = _whole(value, word, problems)
        return None if number is None else Expected(rank=rank, **{word: number})
    seconds = as_duration(value)
    if seconds is None:
        problems.add(value.line, value.column, f"expected `at` to be a duration, got {kind(value)}")
        return None
    return Expected(at_s=seconds, rank=rank)


def _whole(node: Node, word: str, problems: Problems, most: int = 1 << 53) -> int | None:
    if isinstance(node, Scalar) and type(node.value) is int and 0 <= node.value <= most:
        return node.value
    problems.add(node.line, node.column, f"expected `{word}` to be a whole number, got {kind(node)}")
    return None
