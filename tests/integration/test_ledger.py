"""The ledger: numbered events of 64 ranks while one part is killed every few seconds, counted in history."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.integration import ledger_parts as parts
from tests.integration.ledger_books import audit
from tests.integration.ledger_events import Load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def _ledger(folder: Path, flushes: int, every_s: float, most: int) -> None:
    """Send so many seconds of events while parts die; count everything."""
    with parts.site(folder) as site:
        load = Load("ledger", time.time_ns(), flushes=flushes)
        killer = parts.Killer([site.parts[name] for name in parts.KILLED], every_s, most)
        tries, obeyed = asyncio.run(parts.traffic(site, load, killer))
        parts.wait_all_ready(site)
        print(f"scale: {load}, kills: {dict(killer.kills)}, the sender was answered: {dict(tries)}")
        audit(site.clickhouse, load, obeyed)


def test_every_event_is_in_history_exactly_once(tmp_path: Path) -> None:
    """Scaled: about 24,000 events; loop, gateway, history and ClickHouse die in turn, every 3 seconds."""
    _ledger(tmp_path, flushes=16, every_s=3.0, most=12)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_million_events_are_in_history_exactly_once(tmp_path: Path) -> None:
    """In full."""
    _ledger(tmp_path, flushes=660, every_s=4.0, most=10_000)
