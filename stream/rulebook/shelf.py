"""The rule files of a worker, watched: a change that holds still and loads becomes the next bundle."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream.rulebook import bundle
from stream.rulebook.bundle import Bundle
from stream.rulelang import RuleErrors, RuleSet, load_packs

log = logging.getLogger(__name__)


class Shelf:
    """Files and folders of packs. ``bundle`` and ``rules`` are the last that loaded; ``refused`` says why
    the files as they are now do not, None while they do.
    """

    def __init__(self, paths: Sequence[Path], params: Mapping[str, float] | None = None) -> None:
        """Read and load. Raises RuleErrors."""
        self._paths, self._params = paths, params
        self.rules: RuleSet = load_packs(paths, params)
        self.bundle: Bundle = bundle.read(paths, params)
        self.refused: str | None = None
        self._seen = self._settled = self.bundle.digest

    def first(self, in_force: Bundle | None) -> RuleSet:
        """What to begin with: the rules in force, ours where there are none that this version can load."""
        if in_force is None:
            return self.rules
        try:
            return in_force.load()
        except RuleErrors as error:
            log.error("this version does not know the rules in force, beginning with our own:\n%s", error)
            return self.rules

    def look(self) -> Bundle | None:
        """The new bundle if the files changed, are the same as at the last look, and load; else None."""
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

    def _refuse(self, what: str, error: RuleErrors) -> None:
        if self._settled != what:
            log.error("the changed rules are refused, the ones in force stay:\n%s", error)
        self._settled, self.refused = what, str(error)
