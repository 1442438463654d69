"""One Collector for many tests, and a broker that the Collector's own client can work with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emitter import _api
from tests.collector import telling
from tests.collector.telling import Tap


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A session leaves nothing behind, and reads nothing of this machine's settings."""
    telling.clean_environment(monkeypatch)
    yield
    _api.shutdown()


@pytest.fixture
def tap(monkeypatch: pytest.MonkeyPatch) -> Tap:
    return Tap(monkeypatch)
