"""What one series of a rule is, and how long something must last: ``by``, ``absent`` and ``for``."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary import events
from stream.rulelang import durations
from stream.rulelang.errors import guess, one_of
from stream.rulelang.model import Absent
from stream.rulelang.reader import Reader, as_duration
from stream.rulelang.tree import Mapping, Scalar, kind

LOGIC: Final = ("where", "params", "let", "when", "clear_when", "for", "match", "unless")
"""The keys of a rule over samples, which mean nothing beside ``absent``."""

SERIES: Final = ("run", "role", "rank", "node")
_DEFAULT_BY: Final = ("run", "role", "rank")
_MAX_COUNT: Final = 10_000


def read_by(reader: Reader, absent: Absent | None) -> tuple[str, ...]:
    """``by``: what one series is."""
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


def read_absent(reader: Reader) -> Absent | None:
    """``absent``, or None for a rule over samples."""
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
    for word in ("on", *LOGIC, "keep_firing"):
        if word in reader.node.keys:
            reader.fail(reader.node.keys[word], f"`{word}` has no meaning beside `absent`")
            reader.taken.add(word)
    return Absent(events.HEARTBEAT, for_s)


def read_persistence(reader: Reader, absent: Absent | None, log: bool) -> tuple[int, float]:
    """``for`` as samples and seconds; (1, 0) where there is none."""
    node = reader.get("for")
    if node is None or absent is not None:
        return 1, 0.0
    if log:
        reader.fail(node, "`for` is not supported yet for log rules")
        return 1, 0.0
    if isinstance(node, Scalar) and type(node.value) is int:
        if not 1 <= node.value <= _MAX_COUNT:
            reader.fail(node, f"expected `for` to be from 1 to {_MAX_COUNT:,} samples, got {node.value}")
        return node.value, 0.0
    seconds = as_duration(node)
    if seconds is None:
        wanted = f"a number of samples or {durations.EXPECTED}"
        reader.fail(node, f"expected `for` to be {wanted}, got {kind(node)}")
    return 1, seconds or 0.0
