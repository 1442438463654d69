"""The viewer in a real browser, in front of a real history."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, expect

from tests.browser import chrome
from tests.browser.chrome import Tab
from tests.dashboards.rig import RUN, ending, new_history, start_viewer
from tests.dashboards.story import Story, insert, moment
from tests.fixtures import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLEET_PAGE = "#/d/trainwarden-fleet"
RUN_PAGE = f"#/d/trainwarden-run?var-run={RUN}"
TALL = 3600  # all panels of a page in sight


def _panel(tab: Tab, title: str, kind: str) -> Any:
    return tab.page.locator(f'.panel.{kind}[data-panel="{title}"]')


def _box(locator: Locator) -> FloatRect:
    """Where it is; a live refresh may replace the element while it is being asked."""
    deadline = time.monotonic() + 30
    while (box := locator.bounding_box()) is None:
        assert time.monotonic() < deadline, f"{locator} has no place on the page"
    return box


def _point_at(tab: Tab, mark: Locator, words: str) -> None:
    """Move the pointer there until the tooltip says so: the curve moves on under the pointer."""
    tooltip = tab.page.locator("#tooltip")
    deadline = time.monotonic() + 30
    while words not in (tooltip.text_content() or ""):
        box = _box(mark)
        tab.page.mouse.move(box["x"], box["y"] + 60)
        assert time.monotonic() < deadline, f"expected {words!r}, the tooltip says {tooltip.text_content()!r}"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_fleet_shows_all_runs(browser: Browser, viewer: str, scheme: str) -> None:
    """Counts and the table of runs, in both themes; a click on a run opens it."""
    with chrome.tab(browser, viewer, scheme=scheme, height=1100) as tab:
        tab.open(FLEET_PAGE)
        assert tab.page.locator("html").get_attribute("data-theme") == scheme
        expect(_panel(tab, "Runs", "stat").locator(".value")).to_have_text("4")
        table = _panel(tab, "Runs in trouble first", "table")
        expect(table.locator("tbody tr")).to_have_count(4)
        words = [words for words in table.locator("td .pill").all_text_contents() if not words[:1].isdigit()]
        assert sorted(words) == ["failed", "finished", "finished", "silent"]
        table.get_by_role("link", name=RUN).first.click()
        tab.page.wait_for_url("**/#/d/trainwarden-run?var-run=run-a")
        tab.drawn()
        expect(_panel(tab, "State", "stat").locator(".value")).to_have_text("finished")


def test_run_shows_everything(browser: Browser, viewer: str) -> None:
    """Diagnoses and commands stand on the loss curve, with words when pointed at; so do logs and outcomes."""
    with chrome.tab(browser, viewer, height=TALL) as tab:
        tab.open(RUN_PAGE)
        loss = _panel(tab, "Loss", "timeseries")
        expect(loss.locator('.mark[data-mark="Diagnoses"]')).to_have_count(2)
        expect(loss.locator('.mark[data-mark="Commands"]')).to_have_count(2)
        _point_at(tab, loss.locator('.mark[data-mark="Commands"]').last, "rollback")
        expect(tab.page.locator("#tooltip")).to_contain_text("attempt 0")
        expect(_panel(tab, "Logs", "logs")).to_contain_text("loss is nan")
        expect(_panel(tab, "Commands", "table").locator("td .pill")).to_have_text(["succeeded"] * 2)


def test_new_rows_appear_by_themselves(browser: Browser, clickhouse_url: str, tmp_path: Path) -> None:
    """A step that reaches the history is drawn without a reload."""
    # Two minutes back: a point of the curve spans seconds, and the new row is to have one of its own.
    story = Story("run-live", name="live", fault=False, steps=120, state="started", ended_ago_s=120)
    history = new_history(clickhouse_url, story)
    child, url = start_viewer(tmp_path / "viewer.log", history)
    with ending(child), chrome.tab(browser, url) as tab:
        # Not the whole run: one that is silent for 30 s, on a slow machine, is drawn to its end only.
        tab.open("#/d/trainwarden-run?var-run=run-live&from=now-1h&to=now")
        loss = _panel(tab, "Loss", "stat").locator(".value")
        before = loss.text_content()
        insert(history, "train_steps", [story.step_row(120, "loss", 777.0) | {"time": moment(time.time())}])
        expect(loss).to_have_text("777.000")
        expect(_panel(tab, "Loss", "timeseries").locator(".legend b")).to_have_text("777")
        assert before != "777.000"


def test_a_quiet_refresh_costs_little(browser: Browser, viewer: str) -> None:
    """Of a run that ended, a refresh brings headers only, but for what tells the time."""
    with chrome.tab(browser, viewer, height=TALL) as tab:
        tab.open("#/d/trainwarden-run?var-run=run-b")
        bodies: list[int] = []
        tab.page.on(
            "response", lambda response: bodies.append(int(response.headers.get("content-length", 0)))
        )
        with tab.page.expect_response(lambda response: "panel=24" in response.url):
            tab.page.keyboard.press("r")
        tab.page.wait_for_function("() => document.getElementById('live').title.includes('last refresh')")
        print(f"{len(bodies)} answers, {sum(bodies)} bytes")
        assert sum(bodies) < 4_000


def test_zoom_by_drag_and_back(browser: Browser, viewer: str) -> None:
    """Dragging over a chart zooms all charts and lands in the address; a double click zooms out."""
    with chrome.tab(browser, viewer) as tab:
        tab.open(RUN_PAGE)
        expect(tab.page.locator("#range .chosen")).to_have_text("Whole run")
        box = _box(_panel(tab, "Loss", "timeseries").locator(".u-over"))
        tab.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 50)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 80, steps=5)
        tab.page.mouse.up()
        tab.page.wait_for_function("() => /from=\\d+&to=\\d+/.test(location.hash)")
        expect(tab.page.locator("#range .chosen")).to_contain_text(" to ")
        _panel(tab, "Loss", "timeseries").locator(".u-over").dblclick(position={"x": 300, "y": 60})
        tab.page.wait_for_function("() => !location.hash.includes('from=')")
        expect(tab.page.locator("#range .chosen")).to_have_text("Whole run")


def test_keys_and_pickers(browser: Browser, viewer: str) -> None:
    """Theme, fleet, run picker, pause and help answer to their keys; the choices stay in the address."""
    with chrome.tab(browser, viewer) as tab:
        page = tab.page
        tab.open(RUN_PAGE)
        page.keyboard.press("t")
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        tab.drawn()
        page.keyboard.press("p")
        expect(page.locator("#live")).to_have_text("Paused")
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_contain_text("zoom all charts")
        page.keyboard.press("Escape")
        page.keyboard.press("v")
        page.keyboard.type("warm")
        page.keyboard.press("Enter")
        page.wait_for_url("**var-run=run-b")
        expect(page.locator('[data-picker="run"] .chosen')).to_contain_text("warm-up")
        page.locator("#range button").click()
        page.get_by_role("option", name="Last 6 hours").click()
        page.wait_for_url("**from=now-6h&to=now")
        page.keyboard.press("g")
        page.keyboard.press("f")
        page.wait_for_url("**/#/d/trainwarden-fleet")
        page.go_back()
        page.wait_for_url("**var-run=run-b&from=now-6h&to=now")


def test_an_empty_history_says_what_to_do(browser: Browser, empty_history: str, tmp_path: Path) -> None:
    """Before the first run the page tells how to start one."""
    child, url = start_viewer(tmp_path / "viewer.log", empty_history)
    with ending(child), chrome.tab(browser, url) as tab:
        tab.open("#/d/trainwarden-run")
        expect(tab.page.locator(".welcome")).to_contain_text("trainwarden demo")
        tab.page.keyboard.press("g")
        tab.page.keyboard.press("f")
        expect(_panel(tab, "Runs", "stat").locator(".value")).to_have_text("0")
        message = _panel(tab, "Runs in trouble first", "table").locator(".message")
        expect(message).to_have_text("No data in this time range")


def test_an_absent_history_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    """While ClickHouse does not answer, a banner says so and that we try again."""
    child, url = start_viewer(tmp_path / "viewer.log", f"http://127.0.0.1:{free_port()}")
    with ending(child), chrome.tab(browser, url) as tab:
        tab.page.goto(f"{url}/{FLEET_PAGE}")
        expect(tab.page.locator("#banner")).to_contain_text("does not answer")
        expect(tab.page.locator("#banner")).to_contain_text("Trying again every 2 s")
        # The browser itself logs each 503.
        tab.complaints[:] = [said for said in tab.complaints if "503" not in said]
