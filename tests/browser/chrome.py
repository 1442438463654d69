"""A real chromium, driven by Playwright; what goes wrong in a page fails its test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SCREENSHOTS = os.environ.get("TRAINWARDEN_SCREENSHOTS")
"""A folder that gets fleet.png and run.png, for the docs."""


@dataclass
class Tab:
    """A page, and everything it complained of or asked another host for."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, hash_: str) -> None:
        """Go to an address of the viewer and wait until every panel in sight has drawn."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/{hash_}")
        self.drawn()

    def drawn(self) -> None:
        """Wait until every panel in sight has drawn."""
        self.page.wait_for_function(
            """() => {
                const seen = [...document.querySelectorAll(".panel")].filter((panel) => {
                    const { top, bottom } = panel.getBoundingClientRect();
                    return bottom > 0 && top < innerHeight;
                });
                return seen.length > 0 && seen.every((panel) => panel.dataset.loaded === "true");
            }""",
            timeout=60_000,
        )


def browser_path() -> str:
    """Where chromium is; in CI a missing one fails, elsewhere the tests are skipped with the reason."""
    found = str(CHROMIUM) if CHROMIUM.exists() else shutil.which("chromium") or shutil.which("google-chrome")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail("chromium: expected /usr/bin/chromium in CI, found none; apt-get install chromium")
    pytest.skip("needs chromium (Debian: apt-get install chromium)")


@contextmanager
def start() -> Iterator[Browser]:
    """A browser process."""
    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, url: str, *, scheme: str = "dark", height: int = 1000) -> Iterator[Tab]:
    """A fresh tab; fails at its end when the page complained."""
    context = browser.new_context(
        viewport={"width": 1500, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    found = Tab(context.new_page(), url)
    found.page.on("console", lambda said: _note(found, said.type, said.text))
    found.page.on("pageerror", lambda error: found.complaints.append(f"uncaught: {error}"))
    found.page.on("request", lambda asked: _foreign(found, asked.url))
    try:
        yield found
        assert not found.complaints, "\n".join(found.complaints)
    finally:
        context.close()


def _note(found: Tab, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        found.complaints.append(f"{kind}: {text}")


def _foreign(found: Tab, url: str) -> None:
    if not url.startswith((found.url, "about:", "data:")):
        found.complaints.append(f"asked another host: {url}")
