"""The hand on the charts: pan, zoom along the steps, smoothing, scales, and all of it in the address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser import chrome
from tests.browser.chrome import Tab
from tests.dashboards.rig import RUN

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = f"#/d/trainwarden-run?var-run={RUN}"
RANGE = re.compile(r"from=(\d+)&to=(\d+)")


def _panel(tab: Tab, title: str) -> Locator:
    return tab.page.locator(f'.panel[data-panel="{title}"]:has(.chart)')


def _range(tab: Tab) -> tuple[int, int]:
    tab.page.wait_for_function("() => /from=\\d+&to=\\d+/.test(location.hash)")
    found = RANGE.search(tab.page.url)
    assert found is not None
    return int(found[1]), int(found[2])


def _wait_for_other(tab: Tab, than: tuple[int, int]) -> tuple[int, int]:
    tab.page.wait_for_function(f"() => !location.hash.includes('from={than[0]}&to={than[1]}')")
    return _range(tab)


def test_all_charts_pan_and_zoom_together(browser: Browser, viewer: str) -> None:
    """Keys, wheel and shift-drag move every chart at once, and the address follows; z leads back."""
    with chrome.tab(browser, viewer, height=1600) as tab:
        tab.open(PAGE)
        page = tab.page
        page.keyboard.press("+")
        first = _range(tab)
        page.keyboard.press("ArrowRight")
        second = _wait_for_other(tab, first)
        assert second[0] > first[0]
        assert abs((second[1] - second[0]) - (first[1] - first[0])) <= 2
        tab.drawn()
        over = _panel(tab, "Loss").locator(".u-over")
        over.hover(position={"x": 400, "y": 80})
        page.keyboard.down("Shift")
        page.mouse.wheel(0, -200)
        page.keyboard.up("Shift")
        third = _wait_for_other(tab, second)
        assert third[0] < second[0]
        box = over.bounding_box()
        assert box is not None
        page.keyboard.down("Shift")
        page.mouse.move(box["x"] + 300, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 500, box["y"] + 60, steps=4)
        page.mouse.up()
        page.keyboard.up("Shift")
        fourth = _wait_for_other(tab, third)
        assert fourth[0] < third[0]
        page.keyboard.press("z")
        page.wait_for_function("() => !location.hash.includes('from=')")


def test_steps_zoom_by_themselves(browser: Browser, viewer: str) -> None:
    """A drag along the steps zooms the charts by step, not the time; a double click leads back."""
    with chrome.tab(browser, viewer, height=1600) as tab:
        tab.open(PAGE)
        over = _panel(tab, "Loss by step").locator(".u-over")
        over.scroll_into_view_if_needed()
        box = over.bounding_box()
        assert box is not None
        tab.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
        tab.page.mouse.up()
        tab.page.wait_for_function("() => /steps=\\d+-\\d+/.test(location.hash)")
        assert "from=" not in tab.page.url
        over.dblclick(position={"x": 120, "y": 60})
        tab.page.wait_for_function("() => !location.hash.includes('steps=')")


def test_smoothing_scale_and_a_deep_link(browser: Browser, viewer: str) -> None:
    """Smoothing keeps the raw value beside; the scale has its key; an address opens all of it again."""
    with chrome.tab(browser, viewer) as tab:
        tab.open(PAGE)
        page = tab.page
        for _ in range(3):
            page.keyboard.press("s")
        page.wait_for_function("() => location.hash.includes('smooth=0.30')")
        expect(page.locator("#display output")).to_have_text("0.30")
        page.keyboard.press("l")
        page.wait_for_function("() => location.hash.includes('scale=log')")
        address = page.evaluate("location.hash")
        tab.open(address)
        expect(page.locator("#display output")).to_have_text("0.30")
        expect(page.locator("#display button")).to_have_text("Log")
        _panel(tab, "Loss").locator(".u-over").hover(position={"x": 300, "y": 80})
        expect(page.locator("#tooltip .row .raw")).to_have_count(1)
        _panel(tab, "Loss").locator(".expand").click(force=True)
        page.wait_for_function("() => location.hash.includes('viewPanel=11')")
        expect(page.locator(".panel")).to_have_count(1)
        page.keyboard.press("Escape")
        page.wait_for_function("() => !location.hash.includes('viewPanel')")
        expect(page.locator('.panel[data-panel="State"]')).to_be_visible()


def test_smoothing_corrects_its_bias(browser: Browser, viewer: str) -> None:
    """A constant stays what it is from its first point on; gaps stay gaps."""
    with chrome.tab(browser, viewer) as tab:
        tab.open(PAGE)
        call = "smoothed([5, 5, null, 5, undefined, 9], 0.9)"
        smoothed = tab.page.evaluate(f"async () => (await import('/static/draw/smooth.js')).{call}")
        assert smoothed[:2] == [5, 5]
        assert smoothed[2] is None
        assert smoothed[3] == pytest.approx(5)
        assert 5 < smoothed[5] < 7


def test_the_pointer_is_on_every_chart(browser: Browser, viewer: str) -> None:
    """Pointing at one chart shows the moment in all of them, and the values, highest first, beside it."""
    with chrome.tab(browser, viewer, height=3600) as tab:
        tab.open(PAGE)
        over = _panel(tab, "CPU").locator(".u-over")
        over.hover(position={"x": 120, "y": 60})
        rows = tab.page.locator("#tooltip .row b")
        expect(rows).to_have_count(2)
        values = [float(text.split(" ")[0]) for text in rows.all_text_contents()]
        assert values == sorted(values, reverse=True)
        cursor = _panel(tab, "Memory").locator(".u-cursor-x")
        tab.page.wait_for_function("node => !node.classList.contains('u-off')", arg=cursor.element_handle())
