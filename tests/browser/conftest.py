"""The fixtures of the viewer's rig, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import chrome
from tests.dashboards.rig import empty_history, full_history, history, viewer

__all__ = ["browser", "empty_history", "full_history", "history", "viewer"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser process for the session."""
    expect.set_options(timeout=60_000)
    with chrome.start() as browser:
        yield browser
