"""Milliseconds a panel takes over 50 million rows, against one curve from the rows as they came.

Two runs of 64 ranks of 54 hours; every panel is asked over all of that, over HTTP, as the viewer asks.
"""

from __future__ import annotations

import time
from statistics import median
from urllib.parse import urlencode

from bench.history_insert import endpoint
from bench.row import Row
from dashboards.zoom import MOST_ROWS
from tests.dashboards import large
from tests.dashboards.asking import CASES, Asked, Case, case, settled
from tests.fixtures import http_request

_STEPS = 196_000
_TIMES = 3
_TARGET = "< 300 ms"


def _ms(url: str, sql: str) -> float:
    """The median of some answers."""
    base, _, database = url.rpartition("/")
    query = urlencode({"database": database, "default_format": "JSONCompact", "readonly": 1})
    took = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        answer = http_request("POST", f"{base}/?{query}", sql.encode())
        took.append((time.perf_counter() - start) * 1000)
        if answer.status != 200:
            raise RuntimeError(answer.body.decode(errors="replace")[:500])
    return median(took)


def _from_raw(sql: str) -> str:
    """The same question, however many rows there are, asked of the table without roll-ups."""
    if str(MOST_ROWS) not in sql:
        raise ValueError(f"expected a query that chooses its level at {MOST_ROWS} rows, got: {sql}")
    return sql.replace(str(MOST_ROWS), str(10**15))


def measure() -> list[Row]:
    """The slowest and the median panel of each dashboard."""
    with endpoint() as (root, _):
        url, scale = large.tell(root, _STEPS)
        asked = settled(url, Asked(scale.began * 1000, scale.end * 1000 + 60_000, large.CHOICES))
        raw = _ms(url, _from_raw(case("run", "Loss", kind="timeseries").sql(asked)))
        took: dict[str, dict[Case, float]] = {}
        for one in CASES:
            took.setdefault(one.uid.removeprefix("trainwarden-"), {})[one] = _ms(url, one.sql(asked))
    return [
        row
        for name, panels in took.items()
        for row in (_slowest(name, panels, raw, scale), _median(name, panels, raw))
    ]


def _slowest(name: str, panels: dict[Case, float], raw: float, scale: large.Scale) -> Row:
    slowest = max(panels, key=lambda one: panels[one])
    what = f"{name}, slowest of {len(panels)} panels on {scale.rows / 1e6:.0f} M rows: {slowest.title}"
    return Row(what, panels[slowest], raw, "ms", "Run's loss from raw rows", _TARGET)


def _median(name: str, panels: dict[Case, float], raw: float) -> Row:
    return Row(f"{name}, median panel", median(panels.values()), raw, "ms", "Run's loss from raw rows")
