"""The page of incidents in a real browser: what waits is approved and rejected by its buttons."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from stream.keys import OPERATOR, KeyStore
from stream.topics import apply
from tests.browser import chrome
from tests.browser.chrome import Tab
from tests.dashboards.rig import ending, new_history, start_viewer
from tests.fixtures import Child, start_broker
from tests.stream.ledger.arbiter import answering
from tests.stream.ledger.keeping import keep
from tests.stream.ledger.records import Case

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = "#/incidents"


def _cases() -> list[Case]:
    cases = [Case("char-gpt-7"), Case("llama-rl-3", "restart"), Case("vit-base-12")]
    cases[2].incident = "f" * 32
    return cases


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[str]:
    """A broker with all topics, started in a thread: Playwright's loop runs in this one."""

    def start() -> tuple[Child, str]:
        child, bootstrap = start_broker(tmp_path / "broker.log")
        asyncio.run(apply(bootstrap)).check()
        return child, bootstrap

    # The broker dies with the thread that started it.
    with ThreadPoolExecutor(1) as pool:
        child, bootstrap = pool.submit(start).result()
        try:
            yield bootstrap
        finally:
            child.kill()


@pytest.fixture
def seat(clickhouse_url: str, kafka: str, tmp_path: Path) -> Iterator[tuple[str, str, list[Case]]]:
    """A viewer that signs, its history with three incidents, and these."""
    history, cases = new_history(clickhouse_url), _cases()
    for case in cases[:2]:
        keep(history, case.held())
    done = cases[2].changed("resolved", 4, ended="2030-01-01T00:00:00.000000Z", outcome="resolved")
    keep(history, [cases[2].diagnosis(), done])
    key = str(KeyStore(tmp_path).new("ada", OPERATOR).path)
    child, url = start_viewer(tmp_path / "viewer.log", history, kafka=kafka, operator_key=key)
    with ending(child):
        yield url, history, cases


def _open(tab: Tab) -> None:
    tab.page.goto(f"{tab.url}/{PAGE}")
    expect(tab.page.locator(".incident-page h1").first).to_contain_text("Waiting for you")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_of_incidents(
    browser: Browser, seat: tuple[str, str, list[Case]], tmp_path: Path, scheme: str
) -> None:
    """What waits, with all that it would do; every incident, with its timeline when it is opened."""
    url, _, (first, _, done) = seat
    with chrome.tab(browser, url, scheme=scheme) as tab:
        _open(tab)
        page = tab.page
        expect(page.locator("#tabs .badge")).to_have_text("2")
        card = page.locator(f'.card[data-command="{first.command_id}"]')
        expect(card).to_contain_text("rollback of char-gpt-7")
        expect(card).to_contain_text("Loss is NaN")
        expect(card.locator(".chip")).to_have_text(
            ["rule nan-loss", "attempt 0", "before_step 90", "lr_scale 0.5"]
        )
        rows = page.locator(".incident")
        expect(rows).to_have_count(3)
        row = page.locator(f'.incident[data-incident="{done.incident}"]')
        expect(row.locator(".pill")).to_have_text("resolved")
        row.locator("summary").click()
        expect(row.locator(".timeline li")).to_contain_text("nan-loss: Loss is NaN")
        expect(row).to_contain_text("lost steps 12")
        page.wait_for_timeout(2500)  # a refresh leaves what the reader opened
        expect(row.locator(".timeline li")).to_be_visible()
        path = Path(chrome.SCREENSHOTS or tmp_path) / f"incidents-{scheme}.png"
        page.screenshot(path=path, full_page=True)
        card.get_by_role("button", name="Approve").click()
        expect(page.locator("#decide")).to_be_visible()
        page.screenshot(path=path.with_name(f"decide-{scheme}.png"))
        page.get_by_role("button", name="Cancel").click()
        expect(card.locator(".said")).to_be_empty()
        page.keyboard.press("g")
        page.keyboard.press("f")
        page.wait_for_url("**/#/d/trainwarden-fleet")
        expect(page.locator(".incident-page")).to_have_count(0)
        expect(page.locator("#tabs .badge")).to_have_text("2")
        page.keyboard.press("g")
        page.keyboard.press("i")
        expect(page.locator(".card")).to_have_count(2)


def test_approve_and_reject(browser: Browser, kafka: str, seat: tuple[str, str, list[Case]]) -> None:
    """The buttons ask once more, say what the arbiter made of it, and the card goes."""
    url, history, (first, second, _) = seat
    with chrome.tab(browser, url) as tab:
        _open(tab)
        page = tab.page
        thread = answering(kafka, first, "approved", history)
        page.locator(f'.card[data-command="{first.command_id}"]').get_by_role(
            "button", name="Approve"
        ).click()
        expect(page.locator("#decide")).to_contain_text("Approve rollback of char-gpt-7?")
        expect(page.locator("#decide")).to_contain_text("(viewer).")
        page.locator("#decide textarea").fill("looks right")
        page.get_by_role("button", name="Let it go out").click()
        expect(page.locator(".card")).to_have_count(1)
        thread.join(60)
        thread = answering(kafka, second, "rejected", history)
        page.locator(".card").get_by_role("button", name="Reject").click()
        page.get_by_role("button", name="Reject it").click()
        expect(page.locator("#decide")).to_be_visible()  # a rejection needs a reason
        page.locator("#decide textarea").fill("not now")
        page.get_by_role("button", name="Reject it").click()
        expect(page.locator(".incident-page h1").first).to_have_text("Nothing waits for you")
        expect(page.locator("#tabs .badge")).to_be_hidden()
        thread.join(60)


def test_without_a_key_it_says_what_to_type(
    browser: Browser, seat: tuple[str, str, list[Case]], tmp_path: Path
) -> None:
    """No buttons, but the command line."""
    _, history, (first, _, _) = seat
    child, url = start_viewer(tmp_path / "bare.log", history)
    with ending(child), chrome.tab(browser, url) as tab:
        _open(tab)
        expect(tab.page.locator(".waiting .note")).to_contain_text("without an operator's key")
        expect(tab.page.locator(".cure").first).to_contain_text("trainwarden commands approve")
        assert tab.page.locator(".waiting button").count() == 0
        assert first.command_id in (tab.page.locator(".waiting").text_content() or "")
