"""Reading files in tests as diagnose does."""

from __future__ import annotations

from pathlib import Path

from stream.offline import formats
from stream.offline.errors import OfflineError
from stream.offline.finding import find
from stream.offline.opening import opened
from stream.offline.points import Notes, Point
from stream.offline.replay import Replay
from tests.stream.offline.packs import ruleset


def points_of(path: Path) -> list[Point]:
    """Everything in a file."""
    with opened(path, str(path)) as source:
        return list(formats.read(source, Notes(str(path))))


def format_of(path: Path) -> str:
    """The format that is detected."""
    with opened(path, str(path)) as source:
        return formats.detect(source)


def fired(*paths: Path, run: str | None = None) -> list[tuple[str, str, int, int | None, int | None]]:
    """Rule, run, attempt, rank and step of every firing over these paths."""
    problems: list[OfflineError] = []
    found = []
    for group in find(paths, run, problems):
        replay = Replay(group, ruleset(), run=run)
        found += [one.diagnosis for one in replay if one.diagnosis.state == "firing"]
        problems += replay.problems
    assert problems == []
    return [(one.rule, one.run, one.attempt, one.rank, one.step) for one in found]
