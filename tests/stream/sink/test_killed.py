"""SIGKILL before every request that a sink makes for a batch, on a real engine; another sink goes on."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from clickhouse_connect.driver.client import Client

from tests.stream.sink.feeding import check_once

pytestmark = pytest.mark.slow

_PROGRAM = """
import asyncio, os, signal, sys, traceback
from stream.sink.register import Register
from stream.sink.writer import Writer
from tests.stream.sink.feeding import Sink, sent

url, most = sys.argv[1], int(sys.argv[2])
requests = 0

def dying_at(point):
    def wrap(call):
        def counted(*arguments):
            global requests
            requests += 1
            if requests == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)
        return counted
    Register._try, Writer._send = wrap(Register._try), wrap(Writer._send)

async def first(point):
    sink = Sink(url, "killed")
    await sink.feed(records(point)[:6])
    await sink.stored(6)
    if requests + 1 == point:
        os.kill(os.getpid(), signal.SIGKILL)  # all is acknowledged, nothing is committed
    os._exit(0)

async def second():
    sink = Sink(url, "killed")
    for point in range(most):
        await sink.feed(records(point))
    await sink.stored(10 * most)

def records(point):
    # Half of them are known by Kafka's coordinates alone. All lie in one span of time, so that the boundary
    # of the first batch is where our clock set it.
    run = f"killed-{point}"
    return [sent(run, n, ms=0, partition=point, emitter=run if n % 2 else None) for n in range(10)]

def forked(point):
    pid = os.fork()
    if pid:
        return pid
    try:
        dying_at(point)
        asyncio.run(first(point))
    finally:
        traceback.print_exc()
        os._exit(1)

pids = [forked(point) for point in range(most)]
print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))
asyncio.run(second())
"""
_MOST = 12
"""More than the requests of one batch."""


def test_a_sink_killed_at_any_step_of_a_batch(history_url: str, database: Client) -> None:
    """Before the claim, the plan, each of the inserts, the acknowledgement: no row is lost or doubled."""
    command = [sys.executable, "-c", _PROGRAM, history_url, str(_MOST)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    ended = [int(status) for status in done.stdout.split()]
    assert ended.count(-signal.SIGKILL) == _MOST - ended.count(0), done.stderr
    # The first of them is never killed, the others up to the last request and after the acknowledgement.
    points = ended.count(-signal.SIGKILL)
    assert ended == [0] + [-signal.SIGKILL] * points + [0] * (_MOST - 1 - points)
    assert points > 8
    assert ended[-1] == 0
    print(f"killed before each of {points - 1} requests, and after the last")
    for point in range(_MOST):
        check_once(database, f"killed-{point}", range(10))
