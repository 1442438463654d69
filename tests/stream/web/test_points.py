"""A run of millions of points: what goes to the page is bounded, whatever the range.

Five million of them by night; TRAINWARDEN_VIEWER_POINTS says how many else.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from stream import resources
from stream.web.boards import load
from tests.dashboards.points import MANY, MOST_BYTES, RUN, SOME, Points, make
from tests.dashboards.rig import ending, new_history, start_viewer
from tests.fixtures import http_request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOSS, LOSS_BY_STEP, GOODPUT = 11, 51, 9
WIDE = 1500
BOARD = load(resources.path("dashboards"))["trainwarden-run"]


def _ask(url: str, panel: int, ref: str, start: float, end: float, steps: str = "") -> tuple[int, Any]:
    """Bytes of one panel's answer as a browser gets it, and what it says."""
    query = {
        "dashboard": BOARD.uid, "panel": str(panel), "ref": ref, "points": str(WIDE), "var-run": RUN,
        "var-compare": "-", "var-attempt": "$__all", "var-rank": "$__all", "var-steps": steps,
        "var-goodput": "_rolled",
        "from": str(int(start * 1000)), "to": str(int(end * 1000)),
    }  # fmt: skip
    answer = http_request("GET", f"{url}/api/query?{urlencode(query)}", headers={"Accept-Encoding": "gzip"})
    packed = answer.headers.get("content-encoding") == "gzip"
    body = gzip.decompress(answer.body) if packed else answer.body
    assert answer.status == 200, (panel, body[:500])
    return len(answer.body), json.loads(body)


def _goodput(url: str) -> list[str]:
    """What is chosen of the hidden variable that says how goodput is read."""
    query = {"dashboard": BOARD.uid, "from": "0", "to": "1", "var-run": RUN}
    answer = http_request("GET", f"{url}/api/variables?{urlencode(query)}")
    (found,) = (one for one in json.loads(answer.body) if one["name"] == "goodput")
    assert found["hidden"]
    return list(found["current"])


def _values(frame: Any) -> int:
    return sum(value is not None for line in frame["series"] for value in line["values"])


def _check_all_panels(url: str, points: Points) -> None:
    """The whole run: each panel answers, in few bytes; the curves have their points all the same."""
    answers = {panel: _ask(url, panel, ref, points.began, points.end) for panel, ref in BOARD.queries}
    largest = max(answers, key=lambda panel: answers[panel][0])
    print(
        f"{points.size:,} points (nightly: {MANY:,}): largest is panel {largest}, {answers[largest][0]:,} B"
    )
    assert answers[largest][0] < MOST_BYTES
    assert 300 < _values(answers[LOSS][1]) <= WIDE
    assert 300 < _values(answers[LOSS_BY_STEP][1]) <= WIDE
    (goodput,) = answers[GOODPUT][1]["fields"][0]["values"]
    assert goodput == pytest.approx(0.9, abs=0.01)


def _check_parts(url: str, points: Points) -> None:
    """Parts of it, by time and by step: as few bytes, and finer points."""
    middle, span = points.steps // 2, points.end - points.began
    for share in (0.4, 0.1, 0.01):
        size, frame = _ask(url, LOSS, "A", points.began + span * 0.5, points.began + span * (0.5 + share))
        assert size < MOST_BYTES
        assert 300 < _values(frame) <= WIDE
        some = int(points.steps * share)
        size, frame = _ask(url, LOSS_BY_STEP, "A", 0, 1, f"{middle}-{middle + some}")
        assert size < MOST_BYTES
        assert 300 < _values(frame) <= WIDE
        first, last = frame["times"][0], frame["times"][-1]
        assert first == pytest.approx(middle, abs=some / 300)
        assert last == pytest.approx(middle + some, abs=some / 300)


@pytest.mark.parametrize(
    "size", [pytest.param(SOME, id="some"), pytest.param(MANY, id="many", marks=pytest.mark.nightly)]
)
def test_bytes_do_not_grow_with_the_run(clickhouse_url: str, tmp_path: Path, size: int) -> None:
    """Every panel of the whole run costs less than 30 kB, and so do its curves at any zoom."""
    history = new_history(clickhouse_url)
    points = make(history, size)
    child, url = start_viewer(tmp_path / "viewer.log", history)
    with ending(child):
        assert _goodput(url) == ["_rolled"]
        _check_all_panels(url, points)
        _check_parts(url, points)
