"""The kernel log: records as /dev/kmsg gives them, one a read, and the real one where we may write to it."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from emitter._records import ERROR, FATAL, INFO, WARNING
from emitter.probes.claim import Claim
from emitter.probes.kernel_log import CLAIM_EVERY_S, KernelLog, open_log, parse
from tests.fixtures import wait_for

XID = "3,900,5000000,-;NVRM: Xid (PCI:0000:41:00): 79, pid=7, GPU has fallen off the bus.\n SUBSYSTEM=pci\n"


class Kernel:
    """A socket that keeps records apart, as /dev/kmsg does."""

    def __init__(self, per_s: int = 100) -> None:
        theirs, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        self.descriptor = theirs.detach()
        self.sent: list[tuple[str, int]] = []
        self.probe = KernelLog(self.emit, per_s, lambda: self.descriptor)

    def emit(self, body: str, number: int, about: Mapping[str, Any]) -> None:
        assert about["logger.name"] in ("kernel", "emitter")
        self.sent.append((body, number))

    def say(self, *records: str) -> None:
        for record in records:
            self._ours.send(record.encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        self.probe.close()
        self._ours.close()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    found = Kernel()
    yield found
    found.close()


def test_records_with_their_severity(kernel: Kernel) -> None:
    """Text without prefix and keys; emergencies to errors, warnings, notices; debug messages are left out."""
    kernel.say(XID, "4,901,6,-;nvme nvme0: I/O 22 QID 5 timeout, aborting\n", "6,902,7,-;eth0: link up\n",
               "0,903,8,-;Kernel panic\n", "7,904,9,-;details\n")  # fmt: skip
    kernel.probe.turn()

    assert kernel.sent == [
        ("NVRM: Xid (PCI:0000:41:00): 79, pid=7, GPU has fallen off the bus.", ERROR),
        ("nvme nvme0: I/O 22 QID 5 timeout, aborting", WARNING),
        ("eth0: link up", INFO),
        ("Kernel panic", FATAL),
    ]


def test_programs_that_write_to_the_kernel_log_are_left_out(kernel: Kernel) -> None:
    """systemd and others write there too, under a facility of their own."""
    kernel.say("30,1,2,-;systemd[1]: Started.\n", "nonsense", ";", "x,1,2,-;y\n")
    kernel.probe.turn()

    assert kernel.sent == []


def test_chatter_does_not_crowd_out_what_matters(kernel: Kernel) -> None:
    """A firewall logs each packet: it is limited and counted, while Xid errors and kills pass."""
    kernel.probe = KernelLog(kernel.emit, 1, lambda: kernel.descriptor)
    for _ in range(5):
        kernel.say(*["4,1,2,-;[UFW BLOCK] IN=eth0\n"] * 5)
        kernel.probe.turn()
    kernel.say(XID, "3,2,3,-;Out of memory: Killed process 7 (python3)\n")
    kernel.probe.turn()
    kernel.probe.close()
    bodies = [body for body, _ in kernel.sent]

    assert bodies.count("[UFW BLOCK] IN=eth0") == 10
    assert [body for body in bodies if "UFW" not in body] == [
        "NVRM: Xid (PCI:0000:41:00): 79, pid=7, GPU has fallen off the bus.",
        "Out of memory: Killed process 7 (python3)",
        "15 lines of the kernel log were left out: more than 1 a second",
    ]


def test_escapes() -> None:
    """The kernel writes bytes that are not printable as escapes; what is not UTF-8 is replaced."""
    assert parse(b"6,1,2,-;a\\x0ab\xff\n") == (0, 6, "a\nb\ufffd")
    assert parse(b"14,1,2,c;from a program") == (1, 6, "from a program")
    assert parse(b"") is None


def test_records_that_were_overwritten_are_counted(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's buffer is a ring: EPIPE says that we came too late, and reading goes on."""
    kernel.say(XID)
    real, errors = os.read, iter([BrokenPipeError(32, "Broken pipe")])

    def read(descriptor: int, size: int) -> bytes:
        for error in errors:
            raise error
        return real(descriptor, size)

    monkeypatch.setattr(os, "read", read)
    kernel.probe.turn()
    kernel.probe.close()

    assert [body[:10] for body, _ in kernel.sent] == ["NVRM: Xid ", "1 lines of"]


def test_no_permission(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Most containers may not read it: one debug line, and the reason for the report."""
    told: list[str] = []
    with caplog.at_level(logging.DEBUG, "emitter"):
        probe = KernelLog(lambda *_: None, 1, lambda: open_log(str(tmp_path / "kmsg")), told=told.append)
        probe.turn()
        probe.close()

    (trouble,) = told
    assert trouble == f"[Errno 2] No such file or directory: '{tmp_path / 'kmsg'}'"
    assert caplog.messages == [f"the kernel log is not read: {trouble}"]
    assert caplog.records[0].levelno == logging.DEBUG


HOLDER = """
import sys, time
from emitter.probes.claim import Claim
claim = Claim("kernel-log", sys.argv[1])
print(claim.take(), flush=True)
time.sleep(60)
"""


def test_one_process_of_a_run_reads_it_for_the_node() -> None:
    """Roles of one run share a node: the second one waits until the first is gone, however it went."""
    run = str(uuid.uuid4())
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    other = subprocess.Popen([sys.executable, "-c", HOLDER, run], env=env, stdout=subprocess.PIPE, text=True)
    now, opened = [0.0], []

    def open_it() -> int:
        opened.append(1)
        return os.open("/dev/null", os.O_RDONLY)

    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        probe = KernelLog(lambda *_: None, 1, open_it, claim=Claim("kernel-log", run), now_s=lambda: now[0])
        probe.turn()
        assert _is_free(str(uuid.uuid4()))
        assert opened == []
    finally:
        other.kill()
        other.communicate()
    probe.turn()
    assert opened == []
    now[0] = CLAIM_EVERY_S
    probe.turn()
    assert opened == [1]
    assert not _is_free(run)
    probe.close()
    assert _is_free(run)


def _is_free(run: str) -> bool:
    claim = Claim("kernel-log", run)
    taken = claim.take()
    claim.release()
    return taken


def test_the_real_log() -> None:
    """Where we may, a line written to /dev/kmsg comes back once, and nothing from before the start."""
    try:
        log = os.open("/dev/kmsg", os.O_WRONLY)
    except OSError as error:
        pytest.skip(f"the kernel log of this machine is not for us: {error}")
    sent: list[tuple[str, int]] = []
    before, after = f"trainwarden {uuid.uuid4()}", f"trainwarden {uuid.uuid4()}"
    try:
        os.write(log, f"<6>{before}\n".encode())
        told: list[str] = []
        probe = KernelLog(
            lambda body, number, _: sent.append((body, number)), 1000, facilities=(0, 1), told=told.append
        )
        if told:
            pytest.skip(f"the kernel log of this machine is not for us: {told[0]}")
        os.write(log, f"<4>{after}\n".encode())
    finally:
        os.close(log)

    def came() -> bool:
        probe.turn()
        return (after, WARNING) in sent

    wait_for(came, what="the line")
    probe.close()
    assert not any(before in body for body, _ in sent)
