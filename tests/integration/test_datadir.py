"""The data directory of a stack, and the ports it takes."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from emitter.vocabulary import stack as discovery
from stream import ports
from stream.datadir import DataDir, DataDirError


def test_one_stack_at_a_time(tmp_path: Path) -> None:
    """The second is refused with the first one's process; afterwards it may come."""
    first, second = DataDir(tmp_path), DataDir(tmp_path)
    first.acquire()
    with pytest.raises(DataDirError, match=rf"another stack \(process {os.getpid()}\) is running there"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_refused_stack_leaves_the_other_ones_announcement_alone(tmp_path: Path) -> None:
    """Release without the lock takes nothing away."""
    first, second = DataDir(tmp_path), DataDir(tmp_path)
    first.acquire()
    first.announce({"kafka": "127.0.0.1:9092"}, {"broker": 1})
    second.release()
    found = discovery.read_stack(tmp_path)
    assert found is not None
    assert found["endpoints"] == {**dict.fromkeys(discovery.ENDPOINTS), "kafka": "127.0.0.1:9092"}
    assert found["pids"] == {"up": os.getpid(), "broker": 1}
    first.release()
    assert discovery.read_stack(tmp_path) is None


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """The message names it and the cure."""
    (tmp_path / "file").touch()
    with pytest.raises(
        DataDirError, match="cannot be written: Not a directory; choose another with --data-dir"
    ):
        DataDir(tmp_path / "file" / "data").acquire()


def test_what_a_killed_stack_left_is_taken_away(tmp_path: Path) -> None:
    """Processes that are not parts of a stack, by the same ids, are not waited for."""
    left = {"ready": True, "endpoints": {}, "pids": {"up": 1, "broker": os.getpid()}}
    (tmp_path / discovery.STACK_FILE).write_text(json.dumps(left))
    DataDir(tmp_path).wait_for_predecessor(timeout=60, pause=lambda _: pytest.fail("waited"))
    assert not (tmp_path / discovery.STACK_FILE).exists()


def test_free_ports_are_all_different() -> None:
    """Also for parts without a usual port."""
    chosen = ports.choose(["broker", "gateway", "viewer", "worker-loop"], "auto")
    assert len(set(chosen.values())) == 4


def test_all_busy_ports_are_named_at_once() -> None:
    """Each with the part that wants it, and the cure."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ports, "DEFAULTS", {"broker": port, "viewer": port})
            with pytest.raises(ports.PortsError) as caught:
                ports.choose(["broker", "viewer"], "default")
    lines = str(caught.value).splitlines()
    assert lines[:2] == [f"port {port} ({part}) is in use on 127.0.0.1" for part in ("broker", "viewer")]
    assert "--ports auto" in lines[2]


def test_ports_are_default_or_auto() -> None:
    """Another word is refused."""
    with pytest.raises(ValueError, match="ports: expected default or auto, got 'some'"):
        ports.choose(["broker"], "some")
