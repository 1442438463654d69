"""What holds for all tests: none finds what another left behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, settings

from emitter._guard import guard

# Timing never decides a test; in CI hypothesis is deterministic by a profile of its own.
_base = settings.get_profile("ci" if os.environ.get("CI") else "default")
settings.register_profile("here", _base, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

_numbers = count()
_SILENCED = ("aiokafka", "aiohttp.access", "asyncio", "clickhouse_connect", "urllib3")
"""Loggers of libraries that a command of ours, run in this process, tells to say less."""


@pytest.fixture(autouse=True)
def own_spool(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Emitters that a test starts keep what they cannot deliver where no other looks for it."""
    folder = tmp_path_factory.getbasetemp() / f"spool-{next(_numbers)}"
    monkeypatch.setenv("TRAINWARDEN_SPOOL", str(folder))


@pytest.fixture(autouse=True)
def no_news_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emitters read no kernel log unless told to: other tests use up memory, and it speaks of that."""
    monkeypatch.setenv("TRAINWARDEN_KERNEL_LOG", "0")


@pytest.fixture(autouse=True)
def all_is_logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test hides what happens in the next one."""
    # One traceback a minute, whoever caused it.
    monkeypatch.setattr(guard, "_next", 0.0)
    monkeypatch.setattr(guard, "_hidden", 0)
    levels = [(logger, logger.level) for logger in map(logging.getLogger, _SILENCED)]
    yield
    for logger, level in levels:
        if logger.level != level:
            logger.setLevel(level)
