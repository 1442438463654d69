"""Log panels: search inside the database, and never more of a line than a page shows. Pure.

The dashboards' SQL is Grafana's, which filters the lines it was sent; this narrows the query instead, so
that a search finds a line anywhere in the time range.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from stream.web.frames import LONGEST
from stream.web.macros import quote

KIND: Final = "logs"
LEVELS: Final = {
    "info": "^(info|warn|err|fatal|crit|alert|emerg)|^$",
    "warn": "^(warn|err|fatal|crit|alert|emerg)",
    "error": "^(err|fatal|crit|alert|emerg)",
}
"""The least severity that can be asked for, and the words that reach it."""

_TIME_FILTER: Final = re.compile(r"\$__timeFilter(?:_ms)?\(((?:\w+\.)?)Timestamp\)")


@dataclass(frozen=True)
class Search:
    """What the reader looks for: words that stand in the line, and the least severity."""

    text: str = ""
    level: str = ""


def narrowed(sql: str, search: Search) -> str:
    """The query, for the lines that match; unchanged where it is not one of ``otel_logs``."""
    conditions = []
    if search.text:
        line = "concat({0}EventName, ' ', {0}Body, ' ', toString({0}LogAttributes))"
        conditions.append(f"positionCaseInsensitiveUTF8({line}, {quote(search.text)}) > 0")
    if search.level in LEVELS:
        conditions.append(f"match(lower({{0}}SeverityText), {quote(LEVELS[search.level])})")
    return _TIME_FILTER.sub(
        lambda found: " AND ".join([found[0], *(text.format(found[1]) for text in _escaped(conditions))]), sql
    )


def _escaped(conditions: list[str]) -> list[str]:
    """Braces of a searched text are not ours to fill."""
    return [
        condition.replace("{", "{{").replace("}", "}}").replace("{{0}}", "{0}") for condition in conditions
    ]


def short(sql: str) -> str:
    """The same rows with lines cut in the database; ``size`` and ``digest`` tell of those that were."""
    return f"""
        SELECT
            q.timestamp AS timestamp, q.level AS level, substringUTF8(q.body, 1, {LONGEST}) AS body,
            if(lengthUTF8(q.body) > {LONGEST}, lengthUTF8(q.body), 0) AS size,
            if(lengthUTF8(q.body) > {LONGEST}, lower(hex(MD5(q.body))), '') AS digest
        FROM ({sql}) AS q
        ORDER BY timestamp DESC
    """
