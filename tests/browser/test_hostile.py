"""What others wrote is shown as text: names, log lines and summaries that would act if they could."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import chrome
from tests.dashboards.rig import ending, new_history, start_viewer
from tests.dashboards.story import Story, insert, moment

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCRIPT = "<img src=x onerror='window.struck=1'><script>window.struck=1</script>"
ESCAPE = "\x1b[31mred\x1b]0;title\x07"
TURNED = "user \u202egnp.exe\u202c \u2066x\u2069"
NAME = f"{SCRIPT}{ESCAPE}{TURNED}"
LONG = "x" * 1_000_000
END = "the very end"
RUN = "run-<b>x</b>"
HEBREW = "\u05e9\u05dc\u05d5\u05dd (1) -> ok"


@pytest.fixture(scope="module")
def hostile(clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a viewer whose history holds what nobody should have sent."""
    story = Story(RUN, name=NAME, ended_ago_s=5)
    history = new_history(clickhouse_url, story)
    now = time.time()
    resource = {"train.run.id": RUN, "train.attempt": "0", "train.rank": "0", "host.name": NAME}
    lines = [SCRIPT, ESCAPE, TURNED, HEBREW, LONG + END, "needle in the hay"]
    insert(
        history,
        "otel_logs",
        [
            {
                "Timestamp": moment(now - 5.5 - index), "SeverityText": "ERROR" if index == 0 else "INFO",
                "ServiceName": "trainer", "Body": body, "EventName": "train.log",
                "ResourceAttributes": resource, "src_topic": "otlp_logs", "src_partition": 0,
                "src_offset": 1000 + index,
            }
            for index, body in enumerate(lines)
        ],
    )  # fmt: skip
    diagnosis = story.tables()["train_diagnoses"][0]
    summaries = [NAME, "y" * 1_000_000]
    insert(
        history,
        "train_diagnoses",
        [
            diagnosis
            | {"id": f"hostile-{index}", "summary": summary, "src_offset": 500 + index, "rule": NAME[:200]}
            for index, summary in enumerate(summaries)
        ],
    )
    child, url = start_viewer(tmp_path_factory.mktemp("hostile") / "viewer.log", history)
    with ending(child):
        yield url


def test_nothing_acts_and_the_page_keeps_its_shape(browser: Browser, hostile: str) -> None:
    """No script ran, escapes and turning marks are visible, nothing is wider than the window."""
    with chrome.tab(browser, hostile) as tab:
        page = tab.page
        for address in ("fleet", "incidents", "run?viewPanel=21", "run?viewPanel=24"):
            tab.open(f"#/d/trainwarden-{address}")
            assert page.evaluate("window.struck") is None
            assert page.locator("script:not([src]), #grid img").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            text = page.locator("body").text_content() or ""
            assert not any(mark in text for mark in "\x1b\x07\u202e\u2066")
        shown = page.locator('[data-picker="run"] .chosen').text_content() or ""
        assert "<script>window.struck=1</script>\u241b[31mred" in shown
        assert "\\u202egnp.exe\\u202c" in shown
        logs = page.locator(".panel.logs")
        expect(logs).to_contain_text("<img src=x onerror")
        isolated = logs.locator(".text").first.evaluate("node => getComputedStyle(node).unicodeBidi")
        assert isolated == "isolate"


def test_a_long_line_is_cut_and_can_be_read(browser: Browser, hostile: str) -> None:
    """A line of a megabyte comes in part; its end is there for who asks. A summary of a megabyte likewise."""
    with chrome.tab(browser, hostile) as tab:
        page = tab.page
        tab.open("#/d/trainwarden-run?viewPanel=24&search=xxxxxxxx")
        logs = page.locator(".panel.logs")
        expect(logs.locator(".lines > div")).to_have_count(1)
        assert len(logs.locator(".text").text_content() or "") < 3000
        logs.get_by_role("button", name="… more").click()
        logs.get_by_role("button", name="all 1,000,012 characters").click()
        page.wait_for_function(
            f"() => document.querySelector('#whole pre').textContent.endsWith('{END}')", timeout=60_000
        )
        page.locator("#whole button").click()
        tab.open("#/d/trainwarden-run?viewPanel=21")
        page.locator(".panel.table button.more").first.click()
        expect(page.locator("#whole h2")).to_have_text("summary, 1,000,000 characters")
        expect(page.locator("#whole .note")).to_be_empty()


def test_the_log_is_searched_in_the_database(browser: Browser, hostile: str) -> None:
    """Words and the least severity narrow the lines, whatever their number; both stand in the address."""
    with chrome.tab(browser, hostile) as tab:
        page = tab.page
        tab.open("#/d/trainwarden-run?viewPanel=24")
        lines = page.locator(".panel.logs .lines > div")
        page.keyboard.press("/")
        page.keyboard.type("NEEDLE")
        expect(lines).to_have_count(1)
        expect(lines.locator("mark")).to_have_text("needle")
        page.wait_for_url("**search=NEEDLE*")
        page.locator(".panel.logs input").fill("")
        page.locator(".panel.logs select").select_option("error")
        page.wait_for_url("**level=error*")
        expect(lines.filter(has_text="needle")).to_have_count(0)
        expect(lines.first).to_contain_text("<img src=x")
        assert all("error" in words for words in lines.locator(".level").all_text_contents())
        page.locator(".panel.logs input").fill("{'} no such line")
        expect(page.locator(".panel.logs .message")).to_have_text("Nothing like that in this time range")
