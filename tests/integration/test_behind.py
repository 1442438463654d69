"""Workers that start half an hour behind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary import topics
from stream.history.client import connect
from tests.fixtures import read_topic, wait_for
from tests.integration import backlog
from tests.integration import ledger_parts as parts
from tests.integration.backlog import EXPLOSION, SILENCE, Backlog

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CATCH_UP_S = 180.0
POLICY = "lifetime: 15m\n"
"""What is half an hour old is too old to be sent; what is new is not, however slow the machine is."""


def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    client = connect(url, wait_s=60)
    try:
        return [tuple(row) for row in client.query(query).result_rows]
    finally:
        client.close()


def test_what_is_long_past_is_diagnosed_and_not_acted_on(tmp_path: Path) -> None:
    """Scaled: 30 minutes of 8 ranks. They are read faster than they were made; only the new is acted on."""
    behind = (parts.LOOP, parts.HISTORY)
    with parts.site(tmp_path, without=behind, rules=backlog.RULES, policy=POLICY) as site:
        made = Backlog(time.time_ns())
        asyncio.run(backlog.write(site.kafka, made.records()))
        began = time.monotonic()
        for name in behind:
            site.parts[name].start()

        def diagnosed() -> bool:
            return len(_rows(site.clickhouse, "SELECT id FROM train_diagnoses WHERE state = 'firing'")) >= 3

        wait_for(diagnosed, CATCH_UP_S, "all diagnoses")
        took_s = time.monotonic() - began
        decided = "SELECT run, decision, reason FROM train_decisions FINAL WHERE action = 'save'"
        wait_for(lambda: len(_rows(site.clickhouse, decided)) >= 2, CATCH_UP_S, "the decisions in history")
        decisions = _rows(site.clickhouse, decided)
        sent = read_topic(site.kafka, topics.REMEDIATION_COMMANDS, len, timeout=CATCH_UP_S)
        found = _rows(
            site.clickhouse,
            "SELECT run, rule, toUnixTimestamp64Nano(time), JSONExtractFloat(evidence, 'late_s') "
            "FROM train_diagnoses FINAL WHERE state = 'firing'",
        )

    print(
        f"scale: 30 minutes, {made.events} events; read in {took_s:.1f} s, {1800 / took_s:.0f} times as fast"
    )
    assert took_s < 1800
    assert sorted(row[:2] for row in found) == [("early", EXPLOSION), ("early", SILENCE), ("now", EXPLOSION)]
    at = {row[:2]: round((row[2] - made.start_ns) / 1e9, 3) for row in found}
    assert at["early", EXPLOSION] == 300
    assert at["now", EXPLOSION] == 1770
    assert 10 * 60 + 120 <= at["early", SILENCE] <= 10 * 60 + 130
    late_s = {row[:2]: row[3] for row in found}
    assert late_s["early", EXPLOSION] >= 25 * 60 - 1
    assert late_s["early", SILENCE] >= 30 * 60 - 13 * 60
    # Nobody answers it, so it may have been sent again.
    assert {message.key for message in sent} == {b"now"}
    assert len({message.value for message in sent}) == 1
    assert ("early", "expired", "it was too old before it could be sent") in decisions
    assert not [row for row in decisions if row[:2] == ("early", "sent")]
