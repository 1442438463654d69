"""A report opened from disk, without a network, in a real browser."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from stream.report import about_incident, about_run, pages, recovering
from stream.report.ask import asking
from stream.report.ruletext import Shelf
from tests.browser import chrome
from tests.dashboards.rig import new_history
from tests.dashboards.story import Story
from tests.stream.report.rig import HOSTILE, Told

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def reports(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a report of an incident, and one of a hostile run."""
    folder, shelf = tmp_path_factory.mktemp("reports"), Shelf.of_files(None)
    now = float(int(time.time())) - 60
    saved = Told(Story("shown", name="gpt-small", now=now))
    bad = Told(Story("shown-x", name=HOSTILE, now=now), HOSTILE, rule=f"rule{HOSTILE}")
    url = new_history(clickhouse_url)
    saved.tell(url)
    bad.tell(url)
    with asking(url) as ask:
        record = about_incident.find(ask, saved.id)
        facts = about_incident.facts(ask, record, shelf, recovering.of_run(ask, "shown"))
        (folder / "report.html").write_text(pages.incident_page(facts, "html"), encoding="utf-8")
        hostile = pages.run_page(about_run.facts(ask, "shown-x", shelf), "html")
        (folder / "hostile.html").write_text(hostile, encoding="utf-8")
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_opens_from_disk(browser: Browser, reports: Path, tmp_path: Path, scheme: str) -> None:
    """All is there without a network or a script: verdict, curves, marks; nothing else is asked for."""
    url = (reports / "report.html").as_uri()
    with chrome.tab(browser, url, scheme=scheme) as tab:
        tab.page.context.set_offline(True)
        tab.page.set_viewport_size({"width": 1000, "height": 1300})
        tab.page.goto(url)
        assert "rolled back" in (tab.page.locator(".verdict").text_content() or "")
        assert tab.page.locator("svg").count() == 4
        for line in tab.page.locator("svg path.line").all()[:4]:
            box = line.bounding_box()
            assert box is not None
            assert box["width"] > 20
        assert tab.page.locator("svg .key").count() >= 4
        wide = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "wider than the window"
        ink = tab.page.evaluate("getComputedStyle(document.body).color")
        assert (ink == "rgb(29, 33, 38)") == (scheme == "light")
        name = "report" if scheme == "light" else "report-dark"
        path = Path(chrome.SCREENSHOTS or tmp_path) / f"{name}.png"
        tab.page.screenshot(path=path)
        assert path.stat().st_size > 20_000


def test_a_hostile_report_is_text(browser: Browser, reports: Path) -> None:
    """Nothing of it runs, is fetched, or turns the page about; it fits a telephone."""
    url = (reports / "hostile.html").as_uri()
    with chrome.tab(browser, url) as tab:
        tab.page.on("dialog", lambda dialog: tab.complaints.append(f"dialog: {dialog.message}"))
        tab.page.set_viewport_size({"width": 420, "height": 800})
        tab.page.goto(url)
        heading = tab.page.locator("h1")
        assert "<script>alert(1)</script>" in (heading.text_content() or "")
        assert tab.page.locator("script, img, a, iframe").count() == 0
        assert tab.page.evaluate("getComputedStyle(document.querySelector('h1')).direction") == "ltr"
        wide = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "wider than the window"
