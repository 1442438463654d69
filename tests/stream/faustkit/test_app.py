"""The Faust app and its transport, each in a process of its own: Faust belongs to workers alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream.worker import WorkerError, run

pytestmark = pytest.mark.slow

CREATE = """
import sys
sys.argv = ["trainwarden", "--datadir", "/nonexistent", "-L", "nonsense"]
from pathlib import Path
from stream.faustkit import create_app
app = create_app("an-app", "127.0.0.1:1,127.0.0.1:2", data_dir=Path({data_dir!r}))
"""


def python(code: str, tmp_path: Path) -> str:
    """What a fresh interpreter prints; fails with its stderr."""
    code = code.replace("{data_dir!r}", repr(str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_worker_imports_no_faust(tmp_path: Path) -> None:
    """Faust parses the command line when it is imported."""
    code = "import sys, stream.worker; print([m for m in ('faust', 'mode') if m in sys.modules])"
    assert python(code, tmp_path) == "[]"


def test_the_command_line_is_ours(tmp_path: Path) -> None:
    """--datadir and -L mean nothing to Faust, and sys.argv is as before."""
    code = (
        CREATE
        + "print(len(sys.argv), app.conf.datadir, app.conf.web_enabled, [str(u) for u in app.conf.broker])"
    )
    expected = f"5 {tmp_path}/faust/an-app False ['kafka://127.0.0.1:1', 'kafka://127.0.0.1:2']"
    assert python(code, tmp_path) == expected


def test_a_skipped_record_is_not_acknowledged(tmp_path: Path) -> None:
    """A record that Faust was handed and skipped because a rebalance began must be read again."""
    code = CREATE + (
        "import asyncio\n"
        "from faust.types import TP, ConsumerMessage\n"
        "async def main():\n"
        "    app.topics.acking_topics.add('t')\n"
        "    consumer = app.consumer\n"
        "    def message(offset):\n"
        "        return ConsumerMessage('t', 0, offset, 0.0, 0, [], None, b'', None, tp=TP('t', 0))\n"
        "    skipped, given = message(1), message(2)\n"
        "    given.tracked = True\n"
        "    print(consumer.ack(skipped), skipped.acked, consumer.ack(given), given.acked)\n"
        "asyncio.run(main())"
    )
    assert python(code, tmp_path) == "False False True True"


def test_a_record_is_handed_over_in_order_whether_anybody_waits_or_not(tmp_path: Path) -> None:
    """At once where nobody has to wait; a wait goes on where it was, or ends when the worker stops."""
    code = CREATE + (
        "import asyncio\n"
        "async def main():\n"
        "    consumer, seen, gate = app.consumer, [], asyncio.Event()\n"
        "    async def give(message):\n"
        "        try:\n"
        "            if message == 'waits':\n"
        "                await asyncio.sleep(0); await gate.wait(); await asyncio.sleep(0)\n"
        "            seen.append(message)\n"
        "        except asyncio.CancelledError:\n"
        "            seen.append('ended'); raise\n"
        "    consumer._give = give\n"
        "    async def hand(message): await consumer.wait_first(consumer.callback(message), stop.wait())\n"
        "    stop = asyncio.Event()\n"
        "    await hand('at once')\n"
        "    waiting = asyncio.ensure_future(hand('waits'))\n"
        "    for _ in range(9): await asyncio.sleep(0)\n"
        "    before = list(seen)\n"
        "    gate.set(); await waiting\n"
        "    gate.clear(); waiting = asyncio.ensure_future(hand('waits'))\n"
        "    await asyncio.sleep(0); stop.set(); await waiting\n"
        "    for _ in range(9): await asyncio.sleep(0)\n"
        "    print(before, seen)\n"
        "asyncio.run(main())"
    )
    assert python(code, tmp_path) == "['at once'] ['at once', 'waits', 'ended']"


def test_a_library_that_moved_the_setting_is_found_at_start(tmp_path: Path) -> None:
    """Instead of every hop taking 1.5 s."""
    code = CREATE + (
        "from types import SimpleNamespace as S\n"
        "from stream.faustkit.transport import TransportError, check_fetch_wait\n"
        "check_fetch_wait(S(_fetcher=S(_fetch_max_wait_ms=20)), 20)\n"
        "for consumer in (S(_fetcher=S(_fetch_max_wait_ms=1500)), S()):\n"
        "    try: check_fetch_wait(consumer, 20)\n"
        "    except TransportError as error: print(str(error).split(';')[0])\n"
    )
    expected = "fetch wait: expected 20 ms at the consumer's fetcher, found "
    assert python(code, tmp_path).splitlines() == [f"{expected}1500", f"{expected}None"]


def start(tmp_path: Path, app: str, clickhouse: str | None = None, rules: Path | None = None) -> None:
    """A worker that never comes to ask a broker."""
    packs = [rules] if rules else None
    run(
        app=app, kafka="127.0.0.1:1", clickhouse=clickhouse, rules=packs, mode="act", health_port=None,  # type: ignore[arg-type]
        data_dir=tmp_path,
    )  # fmt: skip


def test_an_unknown_app_is_refused(tmp_path: Path) -> None:
    """With the two there are."""
    with pytest.raises(WorkerError, match="app: expected loop or history, got 'both'"):
        start(tmp_path, "both")


def test_history_needs_a_clickhouse(tmp_path: Path) -> None:
    """And says how to name it."""
    with pytest.raises(
        WorkerError, match="expected the URL of a ClickHouse, got none; pass --clickhouse URL"
    ):
        start(tmp_path, "history")


def test_rules_that_do_not_load_stop_it_before_anything_else(tmp_path: Path) -> None:
    """With file, line and column."""
    (tmp_path / "bad.yaml").write_text("pack: bad\nrules: 7\n")
    with pytest.raises(ValueError, match=r"bad\.yaml:2:8: "):
        start(tmp_path, "loop", rules=tmp_path)
