"""The parts of a run's wall time by the names that people read. Pure."""

from __future__ import annotations

from stream.goodput import Goodput


def named(part: str) -> str:
    """The name of a part for people."""
    return part.replace("_", " ")


def parts_of(goodput: Goodput | None) -> list[tuple[str, str, float]]:
    """Key, name and seconds of each part that is not nothing."""
    parts = goodput.whole.parts if goodput is not None else {}
    return [(key, named(key), seconds) for key, seconds in parts.items() if seconds > 0]
