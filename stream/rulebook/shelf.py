"""The rule files of a worker, watched: a change that holds still and loads becomes the next bundle."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from stream.rulebook import bundle
from stream.rulebook.bundle import Bundle
from stream.rulelang import RuleErrors, RuleSet, load_packs
from stream.rulelang.runbooks import FOLDER

READ_EVERY: Final = 60
"""Looks: files are read that often though they seem untouched. Clocks of file systems may be coarse."""

Mark = tuple[str, int, int, int]
"""Name, time of change (ns), size and inode of a file."""

log = logging.getLogger(__name__)


class Shelf:
    """Files and folders of packs. ``bundle`` and ``rules`` are the last that loaded; ``refused`` says why
    the files as they are now do not, None while they do.
    """

    def __init__(self, paths: Sequence[Path], params: Mapping[str, float] | None = None) -> None:
        """Read and load. Raises RuleErrors."""
        self._paths, self._params = paths, params
        self._marks = sorted(_marks(paths))
        self._untouched = 0
        self.rules: RuleSet = load_packs(paths, params)
        self.bundle: Bundle = bundle.read(paths, params)
        self.refused: str | None = None
        self._seen = self._settled = self.bundle.digest

    def first(self, in_force: Bundle | None) -> tuple[RuleSet, Bundle]:
        """What to begin with: the rules in force, ours where there are none that this version can load."""
        if in_force is None or in_force.digest == self.bundle.digest:
            return self.rules, self.bundle
        try:
            return in_force.load(), in_force
        except RuleErrors as error:
            log.error("this version does not know the rules in force, beginning with our own:\n%s", error)
            return self.rules, self.bundle

    def look(self) -> Bundle | None:
        """The new bundle if the files changed, are the same as at the last look, and load; else None."""
        if self._seen == self._settled and self._unmoved():
            return None
        try:
            found = bundle.read(self._paths, self._params)
        except RuleErrors as error:
            self._refuse("unreadable", error)
            return None
        before, self._seen = self._seen, found.digest
        if found.digest != before or found.digest == self._settled:
            return None
        return self._take(found)

    def _take(self, found: Bundle) -> Bundle | None:
        try:
            # Loaded from their places, so that mistakes name the files.
            rules = load_packs(self._paths, self._params)
        except RuleErrors as error:
            self._refuse(found.digest, error)
            return None
        self._settled, self.refused = found.digest, None
        if found.digest == self.bundle.digest:
            return None
        self.bundle, self.rules = found, rules
        return found

    def _unmoved(self) -> bool:
        """Whether the files look as they did when they were last read, not too long ago."""
        before, self._marks = self._marks, sorted(_marks(self._paths))
        self._untouched = self._untouched + 1 if self._marks == before else 0
        return self._untouched % READ_EVERY != 0

    def _refuse(self, what: str, error: RuleErrors) -> None:
        if self._settled != what:
            log.error("the changed rules are refused, the ones in force stay:\n%s", error)
        self._settled, self.refused = what, str(error)


def _marks(paths: Sequence[Path]) -> Iterator[Mark]:
    """Of each file that may belong to these packs."""
    for path in paths:
        if not path.is_dir():
            yield _mark(path)
        for folder, _, names in os.walk(path if path.is_dir() else path.parent / FOLDER):
            for name in names:
                yield _mark(Path(folder, name))


def _mark(file: Path) -> Mark:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), found.st_mtime_ns, found.st_size, found.st_ino
