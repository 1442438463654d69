"""Fixtures for tests of trainers. In the root conftest.py: ``pytest_plugins = ["emitter.pytest_plugin"]``.

Nothing happens before a test asks for one of them; docs/testing.md has examples.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emitter import _api
from emitter.testing import Captured, ManualClock, capture

__all__ = ["captured_events", "emitter_clock"]


@pytest.fixture
def emitter_clock() -> ManualClock:
    """The clock of ``captured_events``: it stands still until ``emitter_clock.advance(seconds)``."""
    return ManualClock()


@pytest.fixture
def captured_events(emitter_clock: ManualClock) -> Iterator[Captured]:
    """A session in memory for this test: what the trainer emits, and commands that are sent to it.

    What the trainer registers with ``emitter.on`` and ``emitter.tune`` is forgotten afterwards.
    """
    handlers, tunables = dict(_api._handlers), dict(_api._tunables)
    with capture(clock=emitter_clock) as captured:
        yield captured
    # Changed in place: a session that is still there looks at the same tables.
    _api._handlers.clear()
    _api._handlers.update(handlers)
    _api._tunables.clear()
    _api._tunables.update(tunables)
