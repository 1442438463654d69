"""The probes of logs and endpoints in a real session: what is on, for whom, and what is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import emitter
from emitter import _api
from emitter._host_probes import places
from emitter._ranks import Identity, identify
from emitter._settings import SettingError, resolve
from emitter.probes.process import ProcessProbe
from tests.emitter.receiver import Receiver, attributes
from tests.fixtures import wait_for

OFF: dict[str, Any] = {"resources": False, "logs": False, "hooks": False}


def identity(**settings: int) -> Identity:
    return identify(resolve({"run": "r", "run_id": "r", **settings}, {}), {})


def test_one_process_a_node_reads_what_is_the_nodes() -> None:
    """Names without a rank are for the first process of the node, names with one for each."""
    names = ("/var/log/node.log", "logs/{rank}.log", "http://localhost:{local_rank}/m", "n{node_rank}.log")

    first = places(names, identity(rank=8, local_rank=0, node_rank=1, world_size=16))
    other = places(names, identity(rank=9, local_rank=1, node_rank=1, world_size=16))
    assert first == ("/var/log/node.log", "logs/8.log", "http://localhost:0/m", "n1.log")
    assert other == ("logs/9.log", "http://localhost:1/m")


def test_braces_that_are_no_numbers_stay() -> None:
    """A file may be called whatever it is."""
    assert places(("{x}/{rank}/{}",), identity(rank=3, local_rank=0, world_size=4)) == ("{x}/3/{}",)


@pytest.mark.parametrize("bad", ["localhost:9400", ["http://"], [1], "ftp://x/m"])
def test_a_bad_endpoint_is_refused(bad: Any) -> None:
    """The message says what is expected and what came."""
    with pytest.raises(SettingError) as error:
        emitter.init(scrape=bad)

    assert str(error.value) == (
        "init: expected `scrape` to be URLs such as http://localhost:9400/metrics, or a list of them, "
        f"got {bad!r}"
    )


def test_a_followed_file(receiver: Receiver, tmp_path: Path) -> None:
    """Lines come with path, severity and step; the last one too, though the session ends at once."""
    log = tmp_path / "server.log"
    log.write_text("before the start\n")
    emitter.init(run="tail", endpoint=receiver.url, tail=[str(tmp_path / "*.log")], **OFF)
    with log.open("a") as out:
        out.write("ERROR: disk on fire\n")
    wait_for(lambda: receiver.records("train.log"), what="the line")
    with log.open("a") as out:
        out.write("the end")
    emitter.shutdown()
    first, last = receiver.records("train.log")

    assert (first.body.string_value, first.severity_number, last.body.string_value) == (
        "ERROR: disk on fire", 17, "the end",
    )  # fmt: skip
    assert attributes(first)["log.file.path"] == str(log)


def test_what_cannot_be_read_is_reported(receiver: Receiver, tmp_path: Path) -> None:
    """A file that may not be read is no error; the report says why there is nothing."""
    (tmp_path / "run.log").mkdir()
    emitter.init(run="tail", endpoint=receiver.url, tail=[str(tmp_path / "run.log")], **OFF)
    wait_for(lambda: receiver.records("train.emitter.report"), what="the report")
    emitter.shutdown()
    (report,) = receiver.records("train.emitter.report")

    assert attributes(report)["probe.tail"] == f"{tmp_path / 'run.log'}: not a regular file"


def test_a_process_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardened containers refuse /proc/self/io: all else is sampled, and it is told once."""

    def refuse(self: object) -> None:
        raise psutil.AccessDenied(7, "python3")

    monkeypatch.setattr(psutil.Process, "io_counters", refuse)
    told: list[str] = []
    probe = ProcessProbe(told.append)

    assert set(probe.counters()) == set(probe.counters()) == {"process.cpu.utilization"}
    assert len(told) == 1
    assert told[0].startswith("refuse: ")


LINES = {"console", "lines", "tail", "follow", "scrape", "exposition", "kernel_log"}
HOST = {"sampler", "resource", "cgroup", "host", "process", "infiniband", "pressure"}
IMPORTED = """
import json, sys
import emitter
emitter.init(run="x", endpoint="http://127.0.0.1:9", **json.loads(sys.argv[1]))
print(json.dumps(sorted(name for name in sys.modules if name.startswith("emitter.probes."))))
import os
os._exit(0)
"""


@pytest.mark.parametrize(
    ("settings", "on"),
    [
        ('{"resources": false}', set()),
        ('{"resources": true, "gc_pauses": false}', {"sampler", "resource", "cgroup", "host", "process"}),
        ('{"resources": true, "gc_pauses": true}', {"sampler", "gc_pauses"}),
        ('{"resources": false, "console": true}', {"console", "lines"}),
        ('{"resources": false, "tail": ["x"]}', {"tail", "follow", "lines"}),
        ('{"resources": false, "scrape": ["http://localhost:1/"]}', {"scrape", "exposition"}),
        ('{"resources": false, "kernel_log": true}', {"kernel_log", "lines"}),
    ],
)
def test_only_what_is_on_is_imported(settings: str, on: set[str]) -> None:
    """Each probe's module is loaded by its own setting and by no other."""
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    found = subprocess.run(
        [sys.executable, "-c", IMPORTED, settings], env=env, capture_output=True, text=True, check=True
    )
    loaded = {
        name.strip(' "\n').removeprefix("emitter.probes.") for name in found.stdout.strip("[]\n").split(",")
    }

    assert on <= loaded
    assert not loaded & (LINES - on)
    if '"gc_pauses": false' in settings or '"resources": false' in settings:
        assert "gc_pauses" not in loaded
    if '"resources": false' in settings:
        assert not loaded & HOST


FORKS = """
import os, sys
import emitter
emitter.init(run="forks", endpoint="http://127.0.0.1:9", console=True, tail=[sys.argv[1]], resources_s=0.01)
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        print("in the child", flush=True)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
emitter.shutdown()
print("done")
"""


def test_forks_under_all_probes(tmp_path: Path) -> None:
    """Children of a trainer with everything on end, print, and wait for nothing."""
    count = 100
    print(f"{count} forks")
    env = {
        **os.environ,
        "PYTHONPATH": str(Path.cwd()),
        "TRAINWARDEN_KERNEL_LOG": "1",
        "TRAINWARDEN_SHUTDOWN_S": "0.5",
    }
    command = [sys.executable, "-W", "ignore", "-c", FORKS, str(tmp_path / "x.log"), str(count)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=150, check=True)

    assert done.stdout.count("in the child") == count
    assert done.stdout.endswith("done\n")


def test_nothing_is_left_behind(receiver: Receiver, tmp_path: Path) -> None:
    """After the shutdown there is no thread and no descriptor of a probe."""
    log = tmp_path / "a.log"
    log.touch()
    emitter.init(run="all", endpoint=receiver.url, tail=[str(log)], console=True, kernel_log=True, **OFF)
    session = _api._session
    assert session is not None
    emitter.shutdown()

    def left() -> list[str]:
        return [one.name for one in threading.enumerate() if one.name.startswith("trainwarden-")]

    until = time.monotonic() + 30
    while left() and time.monotonic() < until:
        time.sleep(0.02)
    assert left() == []
    opened = {str(_target(link)) for link in Path("/proc/self/fd").iterdir()}
    assert not opened & {str(log), "/dev/kmsg"}


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:  # the descriptor with which the folder was read
        return None
