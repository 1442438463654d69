"""Times at the beginning of log lines, in the forms loggers write; without an offset they are UTC."""

from __future__ import annotations

import calendar
import re
from functools import lru_cache
from typing import Final

_SEARCHED: Final = 80
_SECOND_NS: Final = 1_000_000_000
_MONTHS: Final = {name: number for number, name in enumerate(calendar.month_abbr) if name}

_CLOCK: Final = r"(?P<h>[0-2]\d):(?P<mi>[0-5]\d):(?P<s>[0-6]\d)(?:[.,](?P<f>\d{1,9}))?"
_OFFSET: Final = r"(?P<o>Z|[-+]\d\d:?\d\d(?!\d))?"
_FORMS: Final = (
    # 2024-01-02T03:04:05.678Z, 2024-01-02 03:04:05,678, 2024/01/02 03:04:05
    re.compile(
        rf"(?<!\d)(?P<y>(?:19|20)\d\d)[-/](?P<mo>[01]\d)[-/](?P<d>[0-3]\d)[T :_-]{_CLOCK}\s?{_OFFSET}"
    ),
    # 01/02/2024 03:04:05 (Hugging Face's examples)
    re.compile(rf"(?<!\d)(?P<mo>[01]\d)/(?P<d>[0-3]\d)/(?P<y>20\d\d) {_CLOCK}"),
    # I0102 03:04:05.678 (glog)
    re.compile(rf"(?<![A-Za-z])[IWEF](?P<mo>[01]\d)(?P<d>[0-3]\d) {_CLOCK}"),
    # Tue Jan  2 03:04:05 2024
    re.compile(rf"(?P<mon>[A-Z][a-z]{{2}}) +(?P<d>[0-3]?\d) {_CLOCK} (?P<y>20\d\d)"),
    # Jan  2 03:04:05 (syslog)
    re.compile(rf"(?P<mon>[A-Z][a-z]{{2}}) +(?P<d>[0-3]?\d) {_CLOCK}"),
)


class LineTimes:
    """Reads times of one file: the form of its last time is tried first.

    ``year``: what the lines of loggers that leave it out mean.
    """

    def __init__(self, year: int) -> None:
        self._year = year
        self._forms = list(_FORMS)

    def of(self, line: str) -> int | None:
        """Unix nanoseconds, or None where the beginning of the line names no time."""
        start = line[:_SEARCHED]
        if ":" not in start:
            return None
        for index, form in enumerate(self._forms):
            found = form.search(start)
            if found is None:
                continue
            parts = found.groupdict()
            month = int(parts["mo"]) if "mo" in parts else _MONTHS.get(parts["mon"], 0)
            day = _day(int(parts.get("y") or self._year), month, int(parts["d"]))
            if day is None:
                continue
            if index:
                self._forms.insert(0, self._forms.pop(index))
            seconds = day + int(parts["h"]) * 3600 + int(parts["mi"]) * 60 + int(parts["s"])
            fraction = int((parts["f"] or "0").ljust(9, "0"))
            return (seconds - _offset_s(parts.get("o"))) * _SECOND_NS + fraction
        return None


@lru_cache(maxsize=64)
def _day(year: int, month: int, day: int) -> int | None:
    """Unix seconds at the beginning of a day; None for one that does not exist."""
    if not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, 0, 0, 0))


def _offset_s(text: str | None) -> int:
    if not text or text == "Z":
        return 0
    digits = text[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if text[0] == "-" else seconds
