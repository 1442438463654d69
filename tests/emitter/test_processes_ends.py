"""Ends with a full queue, sudden ends, more calls than can be sent: called = delivered + counted as lost."""

from __future__ import annotations

import json
import signal
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from emitter.spool.segment import Segment
from tests.emitter.receiver import Receiver, attributes
from tests.emitter.spool.on_disk import segments
from tests.emitter.test_processes import run, start
from tests.fixtures import free_port, wait_for

FULL = """
emitter.shutdown()
emitter.init("child", run_id="child", endpoint=os.environ["URL"], resources=False, queue_size=1000,
             flush_s=600, shutdown_s=60)
for step in range(3000):
    emitter.step(step, loss=1.0)
"""

ENDS = {
    "interpreter shutdown": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "sys.exit in a thread": (
        "t = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()",
        0,
    ),
    "uncaught exception": ("raise ValueError('x')", 1),
    "SIGTERM": ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
    # A shell without job control starts what is in its background with this signal ignored.
    "SIGINT": (
        "signal.signal(signal.SIGINT, signal.default_int_handler); signal.raise_signal(signal.SIGINT)",
        -signal.SIGINT,
    ),
    "exception in a thread while others step": (
        """
        def step():
            for place in range(3000, 4000):
                emitter.step(place, loss=1.0)
            raise ValueError("x")
        threads = [threading.Thread(target=step) for _ in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
        0,
    ),
}


def accounted(receiver: Receiver) -> tuple[int, int, bool]:
    """Steps that arrived, records counted as lost, and whether any number arrived twice."""
    numbers = [attributes(record)["train.seq"] for record in receiver.records()]
    lost = 0
    for record in receiver.records("train.emitter.report"):
        found = attributes(record)
        lost += sum(count for name, count in found.items() if name.startswith("lost."))
    # The first session of the helper sends its start and its end, numbers 0 and 1, of its own.
    repeated = Counter(numbers)
    return len(receiver.records("train.step")), lost, any(count > 2 for count in repeated.values())


def exceptions(end: str) -> int:
    """Those that get through although the queue is full."""
    return {"uncaught exception": 1, "exception in a thread while others step": 2}.get(end, 0)


@pytest.mark.parametrize("end", ENDS)
def test_end_with_a_full_queue(tmp_path: Path, receiver: Receiver, end: str) -> None:
    """All that was accepted arrives, the rest is counted; the exit status is the trainer's own."""
    body, status = ENDS[end]
    code, errors = run(tmp_path, receiver, FULL + "\n" + textwrap.dedent(body))
    calls = 5000 if "others" in end else 3000

    assert code == status, errors
    arrived, lost, repeated = accounted(receiver)
    assert (arrived + lost, repeated) == (calls, False)
    assert arrived >= 1000
    assert lost > 0
    assert len(receiver.records("train.log")) == exceptions(end)


SILENT = [*((end, False) for end in ENDS), ("SIGTERM", True), ("interpreter shutdown", True)]


@pytest.mark.parametrize(("end", "hang"), SILENT)
def test_end_with_a_full_queue_and_nobody_to_send_to(tmp_path: Path, end: str, hang: bool) -> None:
    """Nothing listens, or answers: all that was accepted is on disk. The next process sends it, each step
    once, and how many are lost.
    """
    body, status = ENDS[end]
    # Not one of the kernel's ports: it might give it to somebody else before the next receiver has it.
    with Receiver(hang=True, port=free_port()) as silent:
        if not hang:
            silent._server.server_close()
        script = FULL.replace("shutdown_s=60", "shutdown_s=10") + "\n" + textwrap.dedent(body)
        code, errors = run(tmp_path, silent, script)
    assert code == status, errors
    assert sum(Segment(path).pending for path in segments(tmp_path / "spool")) >= 1000

    with Receiver(port=silent.port) as receiver:
        code, errors = run(tmp_path, receiver, UNTIL_SENT)
        assert (code, errors) == (0, "")
        arrived, lost, _ = accounted(receiver)
        steps = Counter(attributes(record)["train.step"] for record in receiver.records("train.step"))
        logs = receiver.records("train.log")
    assert arrived + lost == (5000 if "others" in end else 3000)
    assert set(range(1000)) <= set(steps)
    assert max(steps[step] for step in range(3000)) == 1
    assert len(logs) == exceptions(end)


UNTIL_SENT = """
import glob
end = time.monotonic() + 60
while glob.glob(os.environ["TRAINWARDEN_SPOOL"] + "/**/*.seg", recursive=True) and time.monotonic() < end:
    time.sleep(0.02)
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_sudden_end_loses_one_flush_interval(tmp_path: Path, receiver: Receiver, end: str) -> None:
    """What is older than a flush interval arrives by itself, without a gap; nothing says that it finished."""
    arrived = tmp_path / "arrived"
    body = f"""
    for step in range(200):
        emitter.step(step, loss=1.0)
    while not os.path.exists({str(arrived)!r}):
        time.sleep(0.01)
    for step in range(200, 210):
        emitter.step(step, loss=1.0)
    {end}
    """
    with start(tmp_path, receiver, body) as child:
        wait_for(lambda: len(receiver.records("train.step")) == 200, what="what nothing asked for")
        arrived.touch()
        child.communicate(timeout=60)

    sequence = [attributes(record)["train.seq"] for record in receiver.records()]
    assert sequence == list(range(len(sequence)))
    assert len(receiver.records("train.step")) >= 200
    states = [attributes(record)["lifecycle.state"] for record in receiver.records("train.lifecycle")]
    assert states == ["started"]


FAST = """
import json
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
emitter.shutdown()
emitter.init("fast", run_id="fast", endpoint=os.environ["URL"], resources=False, shutdown_s=60)
from emitter import _api
session, seen = _api._session, []
for step in range(int(sys.argv[1]) // 500):
    began = time.monotonic()
    for place in range(500):
        emitter.step(step, loss=1.0, grad_norm=2.0, lr=0.1)
    time.sleep(max(0.0, began + 0.01 - time.monotonic()))
    seen.append(memory())
waiting = len(session.queue.items)
emitter.shutdown()
print(json.dumps({"memory": seen, "waiting": waiting, "lost": session.queue.totals}))
"""


@pytest.mark.parametrize("line", ["up", "down", "down, on disk"])
def test_fifty_thousand_calls_a_second(tmp_path: Path, receiver: Receiver, line: str) -> None:
    """Memory stays where the queue's limit put it, and every call is delivered, on disk or counted."""
    calls = 150_000
    if line != "up":
        receiver.status = 503
    script = FAST.replace("sys.argv[1]", str(calls)).replace(
        "shutdown_s=60", "shutdown_s=60" if line == "up" else "shutdown_s=0.5"
    )
    spool = tmp_path / "spool"
    place = str(spool) if line == "down, on disk" else "off"
    with start(tmp_path, receiver, script, TRAINWARDEN_SPOOL=place) as child:
        output, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
    found = json.loads(output)
    growth = max(found["memory"]) - max(found["memory"][: calls // 500 // 3])

    assert found["waiting"] <= 16384 + 64
    assert growth < 30e6, found["memory"][:: len(found["memory"]) // 10]
    arrived, lost = len(receiver.records("train.step")), found["lost"]
    kept = sum(Segment(path).pending for path in segments(spool))
    # What is left at the end includes the records that frame a run.
    framing = 0 if line == "up" else sum(lost.values()) + kept - calls
    assert 0 <= framing <= 10
    assert arrived + kept + lost.get("queue_full", 0) + lost.get("undelivered", 0) == calls + framing
    assert (kept > calls // 10) == (line == "down, on disk")
    print(
        f"{calls} calls, {line}: {arrived} arrived, {kept} on disk, lost {lost}, {growth / 1e6:.1f} MB more"
    )
