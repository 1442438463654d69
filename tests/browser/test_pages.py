"""Every dashboard in a real browser: it opens, shows what the history holds, and says what it cannot draw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import chrome
from tests.browser.chrome import Tab
from tests.dashboards.crowd import CROWD, tell_crowd
from tests.dashboards.rig import RUN, ending, start_viewer
from tests.dashboards.story import select

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = {
    "fleet": {"Runs", "Runs in trouble first", "Loss by run", "Runs by state", "Diagnoses by rule"},
    "run": {"State", "Loss", "Loss by step", "Step time", "Ranks", "Logs"},
    "ranks": {"Ranks", "Step time by rank", "Slowest ranks", "GPU utilization by rank"},
    "checkpoints": {"Saves", "Duration", "Save duration by rank", "Newest saves"},
    "incidents": {"Open", "Open incidents", "Causes", "Ledger of decisions"},
    "rl": {"Reward", "KL", "KL by step", "Entropy", "Roles"},
    "pipeline": {"Lag", "Processes", "Notices"},
}
"""By dashboard: panels of every type it has that are not empty here."""
CROWDED = ("ranks",)
TALL = 4200
SCHEMES = ("dark", "light") if chrome.SCREENSHOTS else ()
"""Of the pictures that TRAINWARDEN_SCREENSHOTS asks for."""


@pytest.fixture(scope="module")
def shown(full_history: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a viewer of a history that has something for every panel, and a run of 64 ranks."""
    tell_crowd(full_history)
    child, url = start_viewer(tmp_path_factory.mktemp("pages") / "viewer.log", full_history)
    with ending(child):
        yield url


def _address(name: str) -> str:
    run = (
        "" if name in ("fleet", "pipeline", "incidents") else f"?var-run={CROWD if name in CROWDED else RUN}"
    )
    return f"#/d/trainwarden-{name}{run}"


def _full(tab: Tab, title: str) -> None:
    """The panel has drawn, and has something to show."""
    panel = tab.page.locator(f'.panel[data-panel="{title}"][data-loaded="true"]').first
    panel.scroll_into_view_if_needed()
    expect(panel.locator(".message")).to_be_hidden()


def _picture(browser: Browser, url: str, name: str, scheme: str) -> None:
    """The page as one window shows it, for the docs."""
    with chrome.tab(browser, url, scheme=scheme, height=1000) as tab:
        tab.open(_address(name))
        tab.page.wait_for_timeout(500)  # bars grow to their length
        tab.page.screenshot(path=Path(chrome.SCREENSHOTS or "") / f"{name}-{scheme}.png")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_shows_live_data(browser: Browser, shown: str, name: str) -> None:
    """No console error, no panel with an error or of an unknown type; what the history holds is drawn."""
    for scheme in SCHEMES:
        _picture(browser, shown, name, scheme)
    with chrome.tab(browser, shown, height=TALL) as tab:
        tab.open(_address(name))
        expect(tab.page.locator('#tabs a[aria-current="page"]')).to_have_count(1)
        for title in sorted(PAGES[name]):
            _full(tab, title)
        assert tab.page.locator(".message.error").all_text_contents() == []
        assert "does not draw" not in (tab.page.locator("#grid").text_content() or "")
        with tab.page.expect_response(lambda response: "/api/query" in response.url, timeout=60_000):
            pass  # live: it asks again by itself


def test_an_unknown_type_is_said(browser: Browser, shown: str) -> None:
    """A panel that only Grafana can draw says so where it stands; the others are drawn."""
    with chrome.tab(browser, shown) as tab:

        def answer(route: object) -> None:
            response = route.fetch()  # type: ignore[attr-defined]
            board = response.json()
            board["panels"][1]["type"] = "geomap"
            route.fulfill(response=response, json=board)  # type: ignore[attr-defined]

        tab.page.route("**/api/dashboards/trainwarden-fleet*", answer)
        tab.open("#/d/trainwarden-fleet")
        panel = tab.page.locator(".panel.geomap .message")
        expect(panel).to_have_text("This viewer does not draw geomap panels; Grafana does.")
        expect(tab.page.locator('.panel.stat[data-panel="Running"] .value')).not_to_be_empty()


def test_numbers_are_those_of_the_history(browser: Browser, shown: str, full_history: str) -> None:
    """The last loss and the last step in the page are what SQL says of the same run."""
    rows = f"FROM train_steps WHERE run = '{RUN}' AND name = 'loss' AND rank = 0"
    loss = select(full_history, f"SELECT argMax(value, (time, src_offset)) {rows}").strip()
    step = select(full_history, f"SELECT argMax(step, (time, src_offset)) {rows}").strip()
    with chrome.tab(browser, shown) as tab:
        tab.open(_address("run") + "&var-rank=0")
        stat = '.panel.stat[data-panel="{}"] .value'
        expect(tab.page.locator(stat.format("Last step"))).to_have_text(step)
        expect(tab.page.locator(stat.format("Loss"))).to_have_text(f"{float(loss):.3f}")
