"""Lines of output -> those worth sending: a traceback that a rank reports itself is not sent a second time.

An emitter writes what it reports into the folder of the pulses before Python prints it. So the lines of a
traceback are kept back until its last one is there, which is at once, and are then sent or forgotten.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Final

from emitter.vocabulary import supervision
from stream.supervise.ending import Part

MOST_LINES: Final = 500
"""What is longer, or never ends, is sent as it comes."""


class Reported:
    """The lines that emitters report as exceptions, as far as they have said so in this folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / supervision.EXCEPTIONS_FILE
        self._lines: set[str] = set()
        self._at = 0

    def __contains__(self, line: str) -> bool:
        self._read()
        return line.rstrip() in self._lines

    def _read(self) -> None:
        try:
            with self._file.open("rb") as file:
                file.seek(self._at)
                new, end, _ = file.read().rpartition(b"\n")
        except OSError:
            return
        self._at += len(new) + len(end)
        for row in new.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._lines.update(json.loads(row)["lines"])


class Tracebacks:
    """Of one stream. ``take`` says which lines to send now, ``rest`` what is still kept back."""

    def __init__(self, reported: Reported) -> None:
        self._reported = reported
        self._kept: list[str] = []
        self._forgot = False

    def take(self, line: str, part: Part) -> list[str]:
        """The next line, and what it is of a traceback."""
        if not part.inside:
            # Messages of several lines, and the words between chained exceptions.
            self._forgot = self._forgot and part.text in self._reported
            return [] if self._forgot else [line]
        before = self.rest() if part.first else []
        self._kept.append(line)
        self._forgot = part.last and part.text in self._reported
        if self._forgot:
            self._kept = []
        elif part.last or len(self._kept) > MOST_LINES:
            return [*before, *self.rest()]
        return before

    def rest(self) -> list[str]:
        """What was kept back for a last line that did not come."""
        kept, self._kept = self._kept, []
        return kept
