"""``file:`` endpoints: what lies in the folder, whatever happens to the disk and to the process."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import emitter
from emitter._records import LOGS, TRACES, Fate, Payload
from emitter.files import place
from emitter.files.exporter import FileExporter
from emitter.files.place import Place
from stream.otlp import jsoncodec
from stream.otlp.events import events_from_logs


def request(text: str = "x") -> Payload:
    """A logs request with one record that says this."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    made = ExportLogsServiceRequest()
    made.resource_logs.add().scope_logs.add().log_records.add().body.string_value = text
    return Payload(LOGS, made.SerializeToString(), 1)


def bodies(folder: Path) -> list[str]:
    """What the records of all files say, in the order of the files."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            for group in json.loads(line)["resourceLogs"]:
                found += [r["body"]["stringValue"] for s in group["scopeLogs"] for r in s["logRecords"]]
    return found


def test_a_run_lies_in_a_file_of_each_signal(tmp_path: Path) -> None:
    """One line a request, one type of data a file, names that say run and rank; ingest reads them."""
    emitter.init(run="a run", endpoint=f"file://{tmp_path}", resources=False, logs=False, hooks=False)
    for step in range(3):
        emitter.step(step, loss=0.5)
    with emitter.checkpoint(2, "somewhere"):
        pass
    emitter.shutdown()

    logs, spans = sorted(tmp_path.iterdir())
    assert logs.name.startswith("a-run-rank0-")
    assert logs.name.endswith("-logs-000001.jsonl")
    assert spans.name.endswith("-traces-000001.jsonl")
    events = [
        event
        for line in logs.read_bytes().splitlines()
        for run in events_from_logs(jsoncodec.logs_from_json(line))
        for event in run.events
    ]
    assert [event.step for event in events if event.name == "train.step"] == [0, 1, 2]
    assert [event.seq for event in events] == list(range(len(events)))


def test_a_file_that_is_full_is_finished_and_another_begun(tmp_path: Path) -> None:
    """Each record is in exactly one file, none of which is larger than asked for."""
    exporter = FileExporter(Place(tmp_path, rotate=1000, keep=10**6), "x")
    for number in range(30):
        assert exporter.send(request(f"{number:03d}")).fate is Fate.SENT
    exporter.close()

    assert bodies(tmp_path) == [f"{number:03d}" for number in range(30)]
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) > 1
    assert max(sizes) <= 1000


def test_beyond_the_bound_the_oldest_go_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Written = there + refused; one warning."""
    exporter = FileExporter(Place(tmp_path, rotate=500, keep=2000), "x")
    refused = sum(exporter.send(request(f"{number:03d}")).refused for number in range(100))
    exporter.close()

    left = bodies(tmp_path)
    assert left == [f"{number:03d}" for number in range(refused, 100)]
    assert refused > 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000
    assert [r.message for r in caplog.records if "the oldest files go" in r.message].__len__() == 1


def test_a_file_that_was_taken_away_is_not_lost(tmp_path: Path) -> None:
    """Whoever moved it has its records: they are not counted."""
    exporter = FileExporter(Place(tmp_path, rotate=500, keep=1000), "x")
    refused = 0
    for number in range(100):
        refused += exporter.send(request(f"{number:03d}")).refused
        for path in sorted(tmp_path.glob("*.jsonl"))[:-1]:
            path.unlink()
    exporter.close()

    assert refused == 0


def test_a_write_that_fails_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full after ten bytes: RETRY, and later the line is there once, whole."""
    exporter = FileExporter(Place(tmp_path), "x")
    exporter.send(request("one"))
    write, room = os.write, [10, 0]

    def full(fd: int, data: memoryview) -> int:
        if not room:
            return write(fd, data)
        if (size := room.pop(0)) == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data[:size])

    monkeypatch.setattr(os, "write", full)
    outcome = exporter.send(request("two"))
    assert outcome.fate is Fate.RETRY
    assert "No space left" in outcome.why
    assert bodies(tmp_path) == ["one"]

    assert exporter.send(request("two")).fate is Fate.SENT
    assert bodies(tmp_path) == ["one", "two"]
    exporter.close()


def test_half_a_line_that_cannot_be_taken_back_stays_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes next is in another file, not behind it."""
    exporter = FileExporter(Place(tmp_path), "x")
    write, room = os.write, [10, 0]

    def full(fd: int, data: memoryview) -> int:
        if not room:
            return write(fd, data)
        if (size := room.pop(0)) == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return write(fd, data[:size])

    def broken(fd: int, size: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "ftruncate", broken)
    assert exporter.send(request("one")).fate is Fate.RETRY
    assert exporter.send(request("one")).fate is Fate.SENT
    exporter.close()

    first, second = sorted(tmp_path.iterdir())
    assert first.stat().st_size == 10
    assert b'"one"' in second.read_bytes()


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """A file where the folder should be: the reason names it; it works once it is gone."""
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    exporter = FileExporter(Place(blocked / "deep"), "x")
    outcome = exporter.send(request())
    assert outcome.fate is Fate.RETRY
    assert "blocked" in outcome.why

    blocked.unlink()
    assert exporter.send(request()).fate is Fate.SENT
    exporter.close()


@pytest.mark.parametrize(("mode", "expected"), [("never", 0), ("file", 1), ("always", 4)])
def test_fsync_is_called_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, expected: int
) -> None:
    """Never, once a file, or after each request too."""
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    exporter = FileExporter(Place(tmp_path, fsync=mode), "x")
    for _ in range(3):
        exporter.send(request())
    exporter.close()

    assert len(calls) == expected


def test_a_request_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own mistake costs one request, not the exporter."""
    monkeypatch.setenv("TRAINWARDEN_STRICT", "0")
    exporter = FileExporter(Place(tmp_path), "x")

    assert exporter.send(Payload(TRACES, b"\xff", 1)).fate is Fate.REFUSED
    assert exporter.send(request()).fate is Fate.SENT
    exporter.close()


@pytest.mark.slow
def test_a_killed_trainer_leaves_whole_lines(tmp_path: Path) -> None:
    """SIGKILL between two requests: every line parses, and sequence numbers have no gap inside."""
    code = (
        "import emitter, os, signal, pathlib\n"
        f"out = pathlib.Path('{tmp_path}/out')\n"
        f"emitter.init(run='k', endpoint='file:{tmp_path}/out', resources=False, flush_s=0.01)\n"
        "for step in range(10**6):\n"
        "    emitter.step(step, loss=1.0)\n"
        "    if step % 100 == 0 and sum(path.stat().st_size for path in out.glob('*')) > 10**5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL

    found = []
    for path in (tmp_path / "out").glob("*-logs-*.jsonl"):
        for line in path.read_bytes().splitlines():
            for run in events_from_logs(jsoncodec.logs_from_json(line)):
                found += [event.seq for event in run.events]
    assert found == list(range(len(found)))


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("file:///a/b", Place(Path("/a/b"))),
        ("file:///a%20b?rotate=1MiB&keep=10MB", Place(Path("/a b"), 2**20, 10**7)),
        ("file:///a?fsync=always&rotate=4096", Place(Path("/a"), 4096, fsync="always")),
    ],
)
def test_places_are_read_and_written(endpoint: str, expected: Place) -> None:
    """Sizes with units, folders with spaces; and the endpoint of a place is that place."""
    assert place.parse(endpoint) == expected
    assert place.parse(expected.url()) == expected


def test_a_relative_place_is_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolved at once: a trainer may change its directory."""
    monkeypatch.chdir(tmp_path)

    assert place.parse("file:telemetry").folder == tmp_path / "telemetry"


@pytest.mark.parametrize(
    "endpoint",
    ["file:", "file:///", "file://host/a", "file:///a?keep=lots", "file:///a?keep=1MiB", "file:///a?x=1",
     "file:///a?fsync=maybe"],
)  # fmt: skip
def test_a_bad_place_is_a_setting_error(endpoint: str) -> None:
    """With the form that is expected."""
    with pytest.raises(emitter.SettingError, match=r"expected `endpoint` to be file:///FOLDER"):
        emitter.init(endpoint=endpoint)
