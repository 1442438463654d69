"""Outages as a trainer lives through them: real processes, real sockets, real files."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

import pytest
import torch
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import emitter
from emitter import _api, _tensors
from emitter.spool.segment import Segment, size_of
from tests.emitter.fake_device import Device, Tensor, Torch
from tests.emitter.receiver import Receiver, attributes
from tests.emitter.spool.on_disk import segments
from tests.emitter.test_processes import start
from tests.fixtures import free_port, wait_for

TEN_MINUTES = pytest.param(60_000, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])

LOOP = """
print("ready", flush=True)
for number in range(int(os.environ["STEPS"])):
    emitter.step(number, loss=1.0)
    time.sleep(0.01)
print("stepped", flush=True)
"""


def _init(url: str, **settings: object) -> None:
    quiet = {"resources": False, "logs": False, "hooks": False, "export_timeout_s": 1.0}
    emitter.init("run", run_id="run-1", endpoint=url, **{**quiet, **settings})  # type: ignore[arg-type]


def _steps(receiver: Receiver) -> list[int]:
    return [attributes(record)["train.step"] for record in receiver.records("train.step")]


def _steps_on_disk(tmp_path: Path) -> int:
    count = 0
    for path in segments(tmp_path / "spool"):
        segment = Segment(path)
        while (kept := segment.head()) is not None:
            segment._next += size_of(kept.payload)
            request = ExportLogsServiceRequest.FromString(kept.payload.body)
            records = (
                record for group in request.resource_logs for record in group.scope_logs[0].log_records
            )
            count += sum(record.event_name == "train.step" for record in records)
        segment.close()
    return count


def test_what_a_session_leaves_the_next_one_delivers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Far more than the queue holds waits on disk; it arrives with its own times, numbers and identity."""
    port = free_port()
    _init(f"http://127.0.0.1:{port}", queue_size=100, flush_s=0.02)
    first = _api._session
    assert first is not None
    for number in range(1000):
        emitter.step(number, loss=1.0)
        if number % 50 == 0:
            wait_for(lambda: len(first.queue.items) < 40, what="room in the queue")
    emitter.shutdown()
    assert first.queue.totals == {}
    assert "records wait on disk; the next process of this user" in caplog.text
    before = time.time_ns()
    with Receiver(port=port) as receiver:
        _init(receiver.url)
        wait_for(lambda: len(receiver.records("train.step")) == 1000, what="what was left")
        emitter.shutdown()
        assert _steps(receiver) == list(range(1000))
        assert all(record.time_unix_nano < before for record in receiver.records("train.step"))
        sequences: dict[str, list[int]] = {}
        for request in receiver._logs:
            for group in request.resource_logs:
                sender = attributes(group.resource)["train.emitter.id"]
                found = (attributes(record)["train.seq"] for record in group.scope_logs[0].log_records)
                sequences.setdefault(sender, []).extend(found)
    assert len(sequences) == 2
    assert all(sorted(found) == list(range(len(found))) for found in sequences.values())
    assert not segments(tmp_path / "spool")


def test_the_order_of_an_outage_is_kept(tmp_path: Path) -> None:
    """What comes while the backlog leaves waits behind it: sequence numbers arrive as they were given."""
    port = free_port()
    _init(f"http://127.0.0.1:{port}", flush_s=0.02, batch_size=20)
    session = _api._session
    assert session is not None
    for number in range(400):
        emitter.step(number, loss=1.0)
    wait_for(lambda: segments(tmp_path / "spool"), what="records on disk")
    with Receiver(port=port) as receiver:
        for number in range(400, 900):
            emitter.step(number, loss=1.0)
            time.sleep(0.001)
        emitter.shutdown()
        assert _steps(receiver) == list(range(900))
    assert session.queue.totals == {}


@pytest.mark.parametrize("steps", [300, TEN_MINUTES])
def test_four_ranks_live_through_an_outage(steps: int, tmp_path: Path) -> None:
    """Endpoint away, then back: every step of four processes arrives once, with its own time and number;
    memory stays flat, and the loops go on as ever: half of the calls take less than a millisecond.
    """
    sys.stdout.write(
        f"scale: {steps} steps of each of 4 ranks at 100 a second; nothing listens for half of them\n"
    )
    port = free_port()
    code = """
    import array, glob, resource
    page = resource.getpagesize()
    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * page
    emitter.step(0, loss=1.0)
    while not glob.glob(os.environ["TRAINWARDEN_SPOOL"] + "/**/*.seg", recursive=True):
        time.sleep(0.01)  # until all that an outage needs is loaded
    print("ready", flush=True)
    before, calls = resident(), array.array("q")
    for number in range(1, int(os.environ["STEPS"])):
        began = time.time_ns()
        emitter.step(number, loss=1.0)
        calls.extend((began, time.time_ns()))
        time.sleep(0.01)
    print(resident() - before, flush=True)
    emitter.shutdown()
    with open(os.environ["CALLS"], "w") as file:
        for began, ended in zip(calls[::2], calls[1::2]):
            print(began, ended, file=file)
    """
    away = Receiver(port=port)
    away._server.server_close()
    with contextlib.ExitStack() as ends:
        ranks = []
        for rank in range(4):
            folder = tmp_path / str(rank)
            folder.mkdir()
            more = {"RANK": str(rank), "WORLD_SIZE": "4", "STEPS": str(steps), "CALLS": str(folder / "calls")}
            ranks.append(ends.enter_context(start(folder, away, code, **more)))
            ends.callback(ranks[-1].kill)
        assert all(child.stdout and child.stdout.readline() == "ready\n" for child in ranks)
        time.sleep(steps / 200)
        receiver = ends.enter_context(Receiver(port=port))
        outputs = [child.communicate(timeout=60 + steps / 40) for child in ranks]
    times, numbers = defaultdict[tuple[int, int], list[int]](list), defaultdict[int, list[int]](list)
    for request in receiver._logs:
        for group in request.resource_logs:
            rank = attributes(group.resource)["train.rank"]
            for record in group.scope_logs[0].log_records:
                about = attributes(record)
                numbers[rank].append(about["train.seq"])
                if record.event_name == "train.step":
                    times[rank, about["train.step"]].append(record.time_unix_nano)
    found = Counter({key: len(moments) for key, moments in times.items()})
    assert found == Counter({(rank, step): 1 for rank in range(4) for step in range(steps)})
    assert all(sorted(one) == list(range(len(one))) for one in numbers.values())
    assert all(int(output.split()[-1]) < 12_000_000 for output, _ in outputs)
    assert not segments(tmp_path / "spool")
    for rank in range(4):
        lines = (tmp_path / str(rank) / "calls").read_text().splitlines()
        calls = [(int(began), int(ended)) for began, ended in (line.split() for line in lines)]
        for step, (began, ended) in enumerate(calls, 1):
            # The clock of the records is set once, and the machine's may be corrected meanwhile.
            assert began - 50e6 <= times[rank, step][0] <= ended + 50e6
        assert median(ended - began for began, ended in calls) < 1e6


@pytest.mark.parametrize("kind", ["nothing listens", "hangs"])
def test_a_killed_process_loses_one_flush_interval(kind: str, tmp_path: Path) -> None:
    """SIGKILL in an outage: the next process delivers all that is older than the last moment."""
    with Receiver(hang=True, port=free_port()) as hanging:
        if kind == "nothing listens":
            hanging._server.server_close()
        child = start(tmp_path, hanging, LOOP, STEPS="200")
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert child.stdout.readline() == "stepped\n"
        wait_for(lambda: _steps_on_disk(tmp_path) == 200, what="the steps on disk")
        child.send_signal(signal.SIGKILL)
        child.communicate()
        port = hanging.port
    with Receiver(port=port) as receiver:
        _init(receiver.url)
        wait_for(lambda: len(set(_steps(receiver))) == 200, what="all steps")
        emitter.shutdown()
        assert sorted(set(_steps(receiver))) == list(range(200))


def test_a_full_disk_leaves_what_the_memory_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be written the queue is what there is; one line says so, and losses are counted."""
    (tmp_path / "spool").write_text("no folder")
    port = free_port()
    _init(f"http://127.0.0.1:{port}", queue_size=100, flush_s=0.02)
    session = _api._session
    assert session is not None
    wait_for(lambda: "cannot keep undelivered telemetry on disk" in caplog.text, what="the warning")
    for number in range(3000):
        emitter.step(number, loss=1.0)
    with Receiver(port=port) as receiver:
        wait_for(lambda: receiver.records("train.emitter.report"), what="the report")
        emitter.shutdown()
        lost = sum(attributes(one)["lost.queue_full"] for one in receiver.records("train.emitter.report"))
        assert len(_steps(receiver)) + lost == 3000
    assert caplog.text.count("cannot keep undelivered telemetry on disk") == 1


def test_values_of_a_device_reach_the_disk_while_a_request_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that sends also waits for copies; while it hangs in a request the other one does."""
    device = Device()
    monkeypatch.setattr(_tensors, "_library", lambda: Torch(device))
    with Receiver(hang=True, port=free_port()) as hanging:
        _init(hanging.url, export_timeout_s=300.0, shutdown_s=0.1, flush_s=0.02)
        session = _api._session
        assert session is not None
        wait_for(lambda: hanging.requests, 60, "the first request")
        for number in range(50):
            emitter.step(number, loss=Tensor(device, torch.tensor(0.5)))
        assert device.side is not None
        device.side.run()
        wait_for(lambda: not session.queue.items, 60, "an empty queue")
        wait_for(lambda: _steps_on_disk(tmp_path) == 50, 60, "steps on disk")
        emitter.shutdown()
    _tensors._harbours.pop(device, None)
    assert session.queue.totals == {}
    with Receiver(port=hanging.port) as receiver:
        _init(receiver.url)
        wait_for(lambda: len(_steps(receiver)) == 50, 60, "the steps")
        emitter.shutdown()
        assert {attributes(record)["loss"] for record in receiver.records("train.step")} == {0.5}
