"""A run of millions of points in a real browser: the hand moves over it, and little comes from the server.

Five million of them by night; TRAINWARDEN_VIEWER_POINTS says how many else.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Request

from tests.browser import chrome
from tests.browser.chrome import Tab
from tests.dashboards.points import MANY, MOST_BYTES, RUN, SOME, make
from tests.dashboards.rig import ending, new_history, start_viewer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

LOSS, LOSS_BY_STEP = "11", "51"
PAGE = f"#/d/trainwarden-run?var-run={RUN}"
Asked = dict[str, list[str]]


class Watch:
    """What the page asked of panels and got, from now on."""

    def __init__(self, tab: Tab) -> None:
        self.requests: list[Request] = []
        tab.page.on("requestfinished", self._finished)

    def _finished(self, request: Request) -> None:
        if urlsplit(request.url).path == "/api/query":
            self.requests.append(request)

    def asked(self, panel: str) -> list[Asked]:
        """What was asked of one panel."""
        found = [parse_qs(urlsplit(request.url).query) for request in self.requests]
        return [one for one in found if one["panel"] == [panel]]

    def panels(self) -> set[str]:
        """Of which panels something was asked."""
        return {parse_qs(urlsplit(one.url).query)["panel"][0] for one in self.requests}

    def largest(self) -> tuple[int, str]:
        """The answer with the most bytes, as it came over the wire, and its panel."""
        return max(
            (one.sizes()["responseBodySize"], parse_qs(urlsplit(one.url).query)["panel"][0])
            for one in self.requests
        )


def _over(tab: Tab, title: str) -> Locator:
    over = tab.page.locator(f'.panel[data-panel="{title}"] .u-over')
    over.scroll_into_view_if_needed()
    return over


def _drawn(tab: Tab, panel: str) -> None:
    tab.page.wait_for_selector(f'.panel[data-id="{panel}"][data-loaded="true"]', timeout=60_000)


def _drag(tab: Tab, over: Locator, start: float, end: float, key: str | None = None) -> None:
    """From one share of the width to another, in many small moves; with a key held down."""
    box = over.bounding_box()
    assert box is not None
    if key:
        tab.page.keyboard.down(key)
    tab.page.mouse.move(box["x"] + box["width"] * start, box["y"] + 50)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] * end, box["y"] + 50, steps=20)
    tab.page.mouse.up()
    if key:
        tab.page.keyboard.up(key)


def _wait_for_other(tab: Tab, hash_: str) -> str:
    tab.page.wait_for_function("before => location.hash !== before", arg=hash_)
    return str(tab.page.evaluate("location.hash"))


def _range(hash_: str) -> tuple[int, int]:
    chosen = parse_qs(hash_.partition("?")[2])
    return int(chosen["from"][0]), int(chosen["to"][0])


def _around(low: int, high: int) -> tuple[int, int]:
    """What is asked for where this is shown: half as much again on either side."""
    return max(0, low - (high - low) // 2 - (high - low) % 2), high + (high - low + 1) // 2


def _wait_for(tab: Tab, watch: Watch, panel: str, name: str, value: str) -> Request:
    """The finished request of a panel with this parameter."""
    for _ in range(600):
        for one in watch.requests:
            asked = parse_qs(urlsplit(one.url).query)
            if asked["panel"] == [panel] and asked.get(name) == [value]:
                return one
        tab.page.wait_for_timeout(100)
    raise AssertionError(f"panel {panel} was never asked with {name}={value}: {watch.asked(panel)}")


def _wait_for_time(tab: Tab, watch: Watch) -> tuple[tuple[int, int], tuple[int, int]]:
    """The range that is shown when the hand is at rest, and that which was asked for around it."""
    for _ in range(600):
        shown = _range(str(tab.page.evaluate("location.hash")))
        known = _around(*shown)
        ends = [(one["from"], one["to"]) for one in watch.asked(LOSS)]
        if ([str(known[0])], [str(known[1])]) in ends:
            return shown, known
        tab.page.wait_for_timeout(100)
    raise AssertionError(f"never asked for what is around {shown}: {ends}")


def _frame(request: Request) -> dict[str, list[float]]:
    response = request.response()
    assert response is not None
    found: dict[str, list[float]] = response.json()
    return found


def _pan_along_time(tab: Tab, watch: Watch) -> None:
    """Zoom in, then pan by hand and by key: what comes into sight was there before it was asked for."""
    over = _over(tab, "Loss")
    before = str(tab.page.evaluate("location.hash"))
    _drag(tab, over, 0.3, 0.6)
    _wait_for_other(tab, before)
    for turn in range(4):
        shown, known = _wait_for_time(tab, watch)
        before = str(tab.page.evaluate("location.hash"))
        if turn % 2:
            tab.page.keyboard.press("ArrowRight")
        else:
            _drag(tab, over, 0.7, 0.4, "Shift")
        low, high = _range(_wait_for_other(tab, before))
        assert shown[0] < low
        assert known[0] <= low < high <= known[1]
    tab.page.keyboard.press("z")
    tab.page.wait_for_function("() => !location.hash.includes('from=')")


def _zoom_along_steps(tab: Tab, watch: Watch, steps: int) -> None:
    """A part of the steps is asked for again, in finer points, from before its begin to after its end."""
    over = _over(tab, "Loss by step")
    _drawn(tab, LOSS_BY_STEP)
    whole = _frame(_wait_for(tab, watch, LOSS_BY_STEP, "panel", LOSS_BY_STEP))["times"]
    assert whole[-1] > steps * 0.99
    before = str(tab.page.evaluate("location.hash"))
    _drag(tab, over, 0.5, 0.52)
    hash_ = _wait_for_other(tab, before)
    low, high = (int(part) for part in parse_qs(hash_.partition("?")[2])["steps"][0].split("-"))
    asked = "-".join(map(str, _around(low, high)))
    part = [
        at
        for at in _frame(_wait_for(tab, watch, LOSS_BY_STEP, "var-steps", asked))["times"]
        if low <= at <= high
    ]
    assert len(part) > 300
    assert part[0] - low < 0.01 * (high - low)
    assert high - part[-1] < 0.01 * (high - low)
    over.dblclick(position={"x": 120, "y": 60})
    tab.page.wait_for_function("() => !location.hash.includes('steps=')")


@pytest.mark.parametrize(
    "size", [pytest.param(SOME, id="some"), pytest.param(MANY, id="many", marks=pytest.mark.nightly)]
)
def test_the_hand_on_many_points(browser: Browser, clickhouse_url: str, tmp_path: Path, size: int) -> None:
    """Zoom and pan by time and by step: each answer is small, and what a pan shows is there already."""
    history = new_history(clickhouse_url)
    points = make(history, size)
    child, url = start_viewer(tmp_path / "viewer.log", history)
    with ending(child), chrome.tab(browser, url, height=1600) as tab:
        watch = Watch(tab)
        tab.page.goto(f"{url}/{PAGE}")
        _drawn(tab, LOSS)
        _pan_along_time(tab, watch)
        _zoom_along_steps(tab, watch, points.steps)
        errors = tab.page.locator(".panel .message.error").all_text_contents()
        assert not [text for text in errors if "TIMEOUT_EXCEEDED" not in text]  # time is not judged here
        largest = watch.largest()
        answers = f"{len(watch.requests)} answers, largest {largest[0]:,} B of panel {largest[1]}"
        print(f"{size:,} points (nightly: {MANY:,}), {answers}")
        assert len(watch.panels()) > 10
        assert 100 < largest[0] < MOST_BYTES
