"""Names of runs as people write them in settings: ``rl-*``."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def matches(name: str, run: str, pattern: str) -> bool:
    """Whether a run's name or id fits a pattern with ``*``, ``?`` and ``[...]``."""
    fits = _compiled(pattern).match
    return fits(name) is not None or fits(run) is not None
