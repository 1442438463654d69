"""A spool against a list in memory, with short writes, full disks, crashes and torn ends."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from emitter._records import LOGS, TRACES, Payload
from emitter.spool.segment import MAGIC, Segment
from emitter.spool.store import Spool

CAP, PIECE = 700, 200
PAYLOADS = st.builds(
    Payload, st.sampled_from([LOGS, TRACES]), st.binary(max_size=150), st.integers(1, 100)
)  # fmt: skip


class Disk:
    """``os.pwrite`` that writes as little as it is told, and fails when it is told."""

    def __init__(self) -> None:
        self.most: int | None = None
        self.left: int | None = None

    def __call__(self, file: int, data: bytes, offset: int) -> int:
        if self.left is not None and self.left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = min(len(data), self.most or len(data), len(data) if self.left is None else self.left)
        if self.left is not None:
            self.left -= size
        return os.pwrite(file, data[:size], offset)


def together(payloads: list[Payload]) -> Payload:
    """As one request."""
    bodies, records = [one.body for one in payloads], [one.records for one in payloads]
    return Payload(payloads[0].signal, b"".join(bodies), sum(records))


class Model(RuleBasedStateMachine):
    """``waiting`` is what the spool must hold, in order; the first ``sending`` of them are on their way."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.disk = Disk()
        self.spool = self._open()
        self.waiting: list[Payload] = []
        self.sending = 0

    def _open(self) -> Spool:
        return Spool(self.folder, CAP, segment_bytes=PIECE, write=self.disk)

    @rule(payload=PAYLOADS, most=st.one_of(st.none(), st.integers(1, 30)))
    def put(self, payload: Payload, most: int | None) -> None:
        """However little the disk takes at a time, all of it gets there."""
        self.disk.most = most
        self.waiting.append(payload)
        self._drop(self.spool.put(payload))

    @rule(payload=PAYLOADS, left=st.integers(0, 60))
    def put_on_a_full_disk(self, payload: Payload, left: int) -> None:
        """What does not fit is not kept, and what was kept stays whole."""
        self.disk.left = left
        before = self.spool.records
        try:
            dropped = self.spool.put(payload)
        except OSError:
            dropped = before - self.spool.records
        else:
            self.waiting.append(payload)
        self.disk.left = None
        self._drop(dropped)

    @rule(most=st.integers(1, 5), records=st.integers(0, 300))
    def take(self, most: int, records: int) -> None:
        """The oldest comes first, byte for byte, and others behind it with it."""
        found = self.spool.head(most, records)
        self.sending = 0
        if found is None:
            assert not self.waiting
            return
        first, *others = self.waiting
        fitting = [
            n for n in range(1, min(most, len(self.waiting)) + 1) if found == together(self.waiting[:n])
        ]
        assert fitting
        self.sending = max(fitting)
        assert self.sending == 1 or found.records <= records
        assert {first.signal} >= {one.signal for one in others[: self.sending - 1]}

    @precondition(lambda self: self.sending)
    @rule()
    def delivered(self) -> None:
        """What arrived waits no more."""
        self.spool.done()
        del self.waiting[: self.sending]
        self.sending = 0

    @precondition(lambda self: self.sending)
    @rule()
    def not_delivered(self) -> None:
        """What did not arrive waits on."""
        assert self.spool.back() == 0
        self.sending = 0

    @rule(junk=st.binary(max_size=40))
    def crash(self, junk: bytes) -> None:
        """The process dies, in the middle of a write perhaps; the next one takes up what is whole."""
        self.spool.forget()
        files = sorted(self.folder.glob("*.seg"))
        if files:
            with files[-1].open("ab") as file:
                file.write(junk)
        self.spool = self._open()
        self.sending = 0

    @invariant()
    def counted(self) -> None:
        """The records that wait are known, and the disk holds no more than it may."""
        assert self.spool.records == sum(payload.records for payload in self.waiting)
        assert self.spool.size <= CAP + len(MAGIC)

    def _drop(self, records: int) -> None:
        """So many records of the oldest had to go; one that is being sent is not counted yet."""
        while records > 0:
            records -= self.waiting.pop(self.sending).records
        assert records == 0

    def teardown(self) -> None:
        """Remove what was written."""
        self.spool.forget()
        shutil.rmtree(self.folder)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40)


def test_the_oldest_goes_when_there_is_no_more_room(tmp_path: Path) -> None:
    """Whole files go, and what was in them is counted; what is being sent is counted when it comes back."""
    spool = Spool(tmp_path, CAP, segment_bytes=PIECE)
    payloads = [Payload(LOGS, bytes([number]) * 100, 10) for number in range(9)]
    assert [spool.put(payload) for payload in payloads[:5]] == [0] * 5
    assert spool.head() == payloads[0]
    dropped = sum(spool.put(payload) for payload in payloads[5:])
    assert dropped == 30
    assert spool.back() == 10
    assert spool.head() == payloads[4]
    spool.close()


def test_what_is_larger_than_the_spool_is_not_kept(tmp_path: Path) -> None:
    """One request beyond the bound costs itself only."""
    spool = Spool(tmp_path, CAP)
    small = Payload(LOGS, b"x", 1)
    assert spool.put(small) == 0
    assert spool.put(Payload(LOGS, b"x" * CAP, 7)) == 7
    assert spool.head() == small
    spool.close()


def test_a_file_that_is_no_segment_is_left_alone(tmp_path: Path) -> None:
    """It is named, stays where it is, and does not keep the others from being read."""
    (tmp_path / "00000001.seg").write_bytes(b"something else entirely")
    segment = Segment(tmp_path / "00000002.seg")
    segment.append(Payload(TRACES, b"body", 3))
    segment.close()
    spool = Spool(tmp_path, CAP)
    assert spool.head() == Payload(TRACES, b"body", 3)
    assert spool.unreadable == [f"{tmp_path / '00000001.seg'}: expected a file that begins with TWSPOOL1"]
    assert (tmp_path / "00000001.seg").read_bytes() == b"something else entirely"
    spool.close()


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_changed_byte_ends_the_file_there(tmp_path: Path, at: int) -> None:
    """What comes before a damaged request is delivered, nothing damaged ever is."""
    path = tmp_path / "00000001.seg"
    segment = Segment(path)
    first, second = Payload(LOGS, b"a" * 20, 2), Payload(LOGS, b"b" * 24, 3)
    segment.append(first)
    begin = segment.size
    segment.append(second)
    segment.close()
    data = bytearray(path.read_bytes())
    data[begin + at] ^= 0xFF
    path.write_bytes(data)
    spool = Spool(tmp_path, CAP)
    found = []
    while (one := spool.head()) is not None:
        found.append(one)
        spool.done()
    assert found in ([first], [first, second][:1])
    assert not list(tmp_path.glob("*.seg"))


def test_a_closed_spool_leaves_what_waits_and_nothing_else(tmp_path: Path) -> None:
    """Files that were delivered are deleted."""
    spool = Spool(tmp_path, CAP, segment_bytes=PIECE)
    for number in range(3):
        spool.put(Payload(LOGS, bytes([number]) * 100, 1))
    assert spool.head() is not None
    spool.done()
    spool.close()
    assert len(list(tmp_path.glob("*.seg"))) == 2
    again = Spool(tmp_path, CAP)
    assert again.records == 2
    for _ in range(2):
        assert again.head() is not None
        again.done()
    again.close()
    assert not list(tmp_path.glob("*.seg"))


def _open_files(folder: Path) -> int:
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # what was open to list them is gone
            count += str(folder) in str(link.readlink())
    return count


def test_a_long_outage_costs_two_descriptors(tmp_path: Path) -> None:
    """However many segments there are, the first and the last are open; all is given out, in order."""
    spool = Spool(tmp_path, 1 << 20, segment_bytes=PIECE)
    payloads = [Payload(LOGS, b"%d" % number * 40, 1) for number in range(100)]
    for payload in payloads:
        spool.put(payload)
    assert len(list(tmp_path.glob("*.seg"))) > 40
    assert _open_files(tmp_path) == 2
    spool.close()
    assert _open_files(tmp_path) == 0

    again = Spool(tmp_path, 1 << 20, segment_bytes=PIECE)
    assert _open_files(tmp_path) == 0
    found = []
    while (head := again.head()) is not None:
        found.append(head)
        again.done()
        assert _open_files(tmp_path) <= 1
    assert found == payloads
    assert again.records == 0


def test_files_that_others_delete_are_counted(tmp_path: Path) -> None:
    """The rest is sent, and how many records went with the file is known."""
    spool = Spool(tmp_path, 1 << 20, segment_bytes=PIECE)
    payloads = [Payload(LOGS, bytes([number]) * 150, 3) for number in range(5)]
    for payload in payloads:
        spool.put(payload)
    sorted(tmp_path.glob("*.seg"))[2].unlink()

    found = []
    while (head := spool.head()) is not None:
        found.append(head)
        spool.done()
    assert found == [*payloads[:2], *payloads[3:]]
    assert (spool.vanished, spool.records) == (3, 0)
