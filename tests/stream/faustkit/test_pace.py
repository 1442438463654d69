"""How long fetches wait at a broker that sleeps through new data."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from stream.faustkit.pace import IN_VAIN, PATIENCE_MS, SHORTEST_MS, Pace
from stream.faustkit.preflight import TANSU, BrokerTraits
from stream.faustkit.runner import Job


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_an_idle_worker_waits_as_long_as_it_may() -> None:
    """Where no record ever came, fetches wait the longest."""
    assert Pace(20, _Clock()).wait_ms == 20


def test_waits_are_short_after_records_and_grow() -> None:
    """After records came, waits begin at the shortest, never shrink, and end at the longest."""
    clock = _Clock()
    pace = Pace(20, clock)
    pace.came()
    waits = []
    for _ in range(50):
        waits.append(pace.wait_ms)
        clock.now_s += pace.wait_ms / 1000
    assert waits[0] == SHORTEST_MS
    assert waits == sorted(waits)
    assert waits[-1] == 20


def test_a_place_that_is_left_out_again_and_again_makes_waits_longer() -> None:
    """Not once or twice, nor at another position each time; and no longer than patience reaches."""
    pace = Pace(20, _Clock())
    for position in range(IN_VAIN):
        pace.left_out([("partition", position)])
    assert pace.wait_ms == 20
    for _ in range(100):
        pace.left_out([("partition", 7)])
    assert pace.wait_ms == PATIENCE_MS
    for _ in range(100):
        pace.left_out([])
        pace.came()
    assert pace.wait_ms == SHORTEST_MS


def test_the_fetcher_follows_the_pace() -> None:
    """A fetch that brought records makes the next one short; another version of aiokafka is refused."""
    # Faust reads sys.argv when it is imported, so this runs in a process of its own.
    code = (
        "import asyncio\n"
        "from types import SimpleNamespace as S\n"
        "from stream.faustkit.pace import Pace\n"
        "from stream.faustkit.transport import TransportError, hurry\n"
        "found = [True] + 9 * [False]\n"
        "async def fetch(*request): return found.pop(0)\n"
        "now = [0.0]\n"
        "fetcher = S(_proc_fetch_request=fetch, _fetch_max_wait_ms=20, _records={})\n"
        "held = S(state_value=lambda place: S(highwater=9))\n"
        "def ask(position):\n"
        "    request = S(topics=[('t', [(0, position, 1)])])\n"
        "    return asyncio.run(fetcher._proc_fetch_request(held, 0, request))\n"
        "hurry(S(_fetcher=fetcher), Pace(20, lambda: now[0]))\n"
        "assert ask(9) is True\n"
        "assert fetcher._fetch_max_wait_ms == 2\n"
        "now[0] = 60.0\n"
        "assert ask(9) is False\n"
        "assert fetcher._fetch_max_wait_ms == 20\n"
        "assert [ask(8) for _ in range(3)] == [False] * 3\n"
        "assert fetcher._fetch_max_wait_ms == 40\n"
        "try: hurry(S(_fetcher=S()), Pace(20, lambda: 0.0))\n"
        "except TransportError as error: assert 'expected _proc_fetch_request' in str(error)\n"
        "else: raise AssertionError('expected a TransportError')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_job_with_leisure_asks_rarely_and_without_haste() -> None:
    """History leaves the broker and the processor to the loop; a broker that wakes needs no such thing."""
    leisurely = Job("id", "kafka", Path(), lambda app, host: None, leisure_ms=200)
    urgent = Job("id", "kafka", Path(), lambda app, host: None)
    assert leisurely.suited(TANSU) == replace(TANSU, fetch_wait_ms=200, haste=False)
    assert urgent.suited(TANSU) == TANSU
    assert leisurely.suited(BrokerTraits()) == BrokerTraits()
