"""Which checkpoint to go on from: the newest that is regular, verified, and still there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from emitter.vocabulary.supervision import CHECKPOINTS_FILE

REGULAR: Final = "regular"


@dataclass(frozen=True)
class Saved:
    """One row of ``checkpoints.jsonl``; ``time`` is Unix time (s) at the end of the save."""

    step: int
    path: str
    kind: str
    verified: bool
    time: float
    rank: int = 0


def _exists(path: str) -> bool:
    # What lies in an object store cannot be looked at from here.
    return "://" in path or Path(path).exists()


class Book:
    """Reads what the ranks wrote in every attempt; knows of rollbacks."""

    def __init__(self, exists: Callable[[str], bool] = _exists) -> None:
        self._exists = exists
        self._files: list[Path] = []
        self._undone: list[tuple[float, int]] = []

    def add(self, folder: Path) -> None:
        """The pulse folder of another attempt."""
        self._files.append(folder / CHECKPOINTS_FILE)

    def undo(self, time_s: float, step: int) -> None:
        """At this time the run went back to this step: what was saved before and stands behind is void."""
        self._undone.append((time_s, step))

    def newest(self, before: int | None = None) -> Saved | None:
        """The one to go on from, of a step below ``before``; of a sharded one all ranks said yes."""
        # A path that is written again holds what came last.
        last = {(row.path, row.rank): row for file in self._files for row in _rows(file)}
        rows = [row for row in last.values() if row.kind == REGULAR and self._counts(row)]
        partial = {row.path for row in rows if not row.verified}
        good = [
            row for row in rows
            if row.path not in partial and (before is None or row.step < before) and self._exists(row.path)
        ]  # fmt: skip
        return max(good, key=lambda row: (row.time, row.step), default=None)

    def named(self, args: dict[str, Any]) -> str | None:
        """The path that a command's arguments ask for: ``checkpoint.path``, else by ``before_step``."""
        asked = args.get("checkpoint")
        path = asked.get("path") if isinstance(asked, dict) else None
        if isinstance(path, str) and self._exists(path):
            return path
        before = args.get("before_step")
        found = self.newest(before if type(before) is int else None)
        return None if found is None else found.path

    def step_of(self, path: str | None) -> int | None:
        """The step that a path was saved at."""
        return next((row.step for file in self._files for row in _rows(file) if row.path == path), None)

    def _counts(self, row: Saved) -> bool:
        return not any(row.time < time_s and row.step > step for time_s, step in self._undone)


def _rows(file: Path) -> list[Saved]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            row = json.loads(line)
            found.append(Saved(**{name: row[name] for name in Saved.__dataclass_fields__}))
        except (ValueError, KeyError, TypeError):  # a rank was killed while it wrote
            continue
    return [row for row in found if type(row.step) is int]
