"""Files that others write, as they grow -> ``train.log``."""

from __future__ import annotations

import glob
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from emitter._guard import logger
from emitter.probes.follow import Followed, Places
from emitter.probes.lines import Emit, Outlet, severity

EVERY_S: Final = 0.5
LOOK_EVERY_S: Final = 5.0
"""Seconds between looks for new files."""
MOST_FILES: Final = 64
BREATH: Final = 64
"""Lines after which other threads may have the interpreter."""
FILE_PATH: Final = "log.file.path"


class Tail:
    """Follows the files that fit the patterns: those that exist now from their end, later ones whole."""

    def __init__(
        self,
        patterns: tuple[str, ...],
        emit: Emit,
        per_s: int,
        now_s: Callable[[], float] = time.monotonic,
        told: Callable[[str], None] = lambda trouble: None,
    ) -> None:
        self._patterns, self._now_s, self._told = patterns, now_s, told
        self._emit, self._per_s = emit, per_s
        self._files: dict[str, tuple[Followed, Outlet]] = {}
        self._places = Places()
        self._look_at = -math.inf

    def turn(self) -> None:
        """Read what was added since the last turn; the first one only looks where the files end."""
        if self._now_s() >= self._look_at:
            self._find(new=self._look_at > 0)
        for path, (file, outlet) in self._files.items():
            self._send(path, outlet, file.read())
            outlet.drop(file.take_skipped())
            outlet.tell()

    def close(self) -> None:
        """Send beginnings of lines, close the files."""
        self.turn()
        for path, (file, outlet) in self._files.items():
            self._send(path, outlet, file.close())
            outlet.tell(now=True)

    def _send(self, path: str, outlet: Outlet, lines: list[str]) -> None:
        about: dict[str, Any] = {FILE_PATH: path}
        for number, line in enumerate(lines):
            outlet.send(line, severity(line), about)
            if number % BREATH == 0:
                time.sleep(0)

    def _find(self, *, new: bool) -> None:
        self._look_at = self._now_s() + LOOK_EVERY_S
        for pattern in self._patterns:
            for path in sorted(glob.glob(pattern, recursive=True)) or [pattern]:  # noqa: PTH207 - may be absolute
                self._add(path, new=new)

    def _add(self, path: str, *, new: bool) -> None:
        # A pattern that fits nothing yet may be a plain name that will appear.
        if path in self._files or (glob.has_magic(path) and not Path(path).exists()):
            return
        if len(self._files) >= MOST_FILES:
            logger.debug("%s is not followed: %d files are already", path, MOST_FILES)
            return
        from_end = not new and Path(path).exists()
        file = Followed(path, self._places, self._now_s, self._told, from_end=from_end)
        self._files[path] = file, Outlet(self._emit, path, self._per_s, self._now_s)
