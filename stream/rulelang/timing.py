"""How long something must last, or stay away: ``for`` and ``absent``."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.events import PHASES
from stream.rulelang import durations
from stream.rulelang.errors import guess, one_of
from stream.rulelang.fields import DIAGNOSIS, EVENTS
from stream.rulelang.model import Absent
from stream.rulelang.reader import Reader, as_duration
from stream.rulelang.tree import Mapping, Scalar, kind

LOGIC: Final = (
    "where", "params", "with", "let", "when", "clear_when", "for", "match", "unless", "learn",
)  # fmt: skip
"""The keys of a rule over samples, which mean nothing beside ``absent``."""
MAX_COUNT: Final = 10_000
MAX_TIMES: Final = 1000
ABSENT_KEYS: Final = ("of", "for", "after", "times", "phases")


def read_absent(reader: Reader) -> Absent | None:
    """``absent``, or None for a rule over samples."""
    node = reader.typed("absent", Mapping, "a mapping such as {of: train.heartbeat, for: 2m}")
    if node is None:
        return None
    inner = Reader(node, reader.problems, "absent")
    of = _event(inner, "of", required=True)
    for_s = inner.duration("for") if inner.required("for") is not None else 1.0
    if for_s <= 0:
        inner.fail(node.values["for"], "expected `for` to be longer than 0s")
    after = _event(inner, "after")
    if of is not None and of == after:
        inner.fail(node.values["after"], f"each {of} starts the clock anyway: leave `after` out")
    times = _times(inner)
    phases = _phases(inner)
    inner.finish()
    for word in ("on", *LOGIC, "keep_firing"):
        if word in reader.node.keys:
            reader.fail(reader.node.keys[word], f"`{word}` has no meaning beside `absent`")
            reader.taken.add(word)
    return Absent(of or "", for_s, after, times, phases)


def _event(inner: Reader, key: str, *, required: bool = False) -> str | None:
    node = inner.text(key, required=required)
    if node is None:
        return None
    known = [event for event in EVENTS if event != DIAGNOSIS]
    if node.text not in known:
        hint = guess(node.text, known)
        inner.fail(node, f'expected `{key}` to be one of {one_of(known)}, got "{node.text}"{hint}')
    return node.text


def _times(inner: Reader) -> float:
    node = inner.get("times")
    if node is None:
        return 0.0
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= MAX_TIMES:
        return float(value)
    inner.fail(node, f"expected `times` to be a number from 1 to {MAX_TIMES}, got {kind(node)}")
    return 0.0


def _phases(inner: Reader) -> tuple[str, ...]:
    """Any word may be a phase; one that is nearly a known word is a mistake."""
    found = inner.texts("phases")
    for phase in found:
        hint = guess(phase.text, PHASES)
        if phase.text not in PHASES and hint:
            inner.fail(phase, f'no phase is "{phase.text}"{hint}')
    return tuple(dict.fromkeys(phase.text for phase in found))


def read_persistence(reader: Reader, absent: Absent | None) -> tuple[int, float]:
    """``for`` as samples and seconds; (1, 0) where there is none."""
    node = reader.get("for")
    if node is None or absent is not None:
        return 1, 0.0
    if isinstance(node, Scalar) and type(node.value) is int:
        if not 1 <= node.value <= MAX_COUNT:
            reader.fail(node, f"expected `for` to be from 1 to {MAX_COUNT:,} samples, got {node.value}")
        return node.value, 0.0
    seconds = as_duration(node)
    if seconds is None:
        wanted = f"a number of samples or {durations.EXPECTED}"
        reader.fail(node, f"expected `for` to be {wanted}, got {kind(node)}")
    return 1, seconds or 0.0
