"""Takeovers: a worker is killed anywhere, and another goes on from a snapshot of any time before."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import events
from stream.diagnose.partition import Partition
from stream.diagnose.replay import Replay, ReplayError
from stream.diagnose.snapshot import encode
from stream.events import Batch, Message, Rules
from stream.records import Incoming, Outgoing
from stream.rulebook.bundle import decode
from stream.snapshots import form
from tests.stream.diagnose.stories import SECOND, rule, step, tick
from tests.stream.diagnose.streams import ACTIONS, HANG, SILENT, STUCK, Action, batch, stream
from tests.stream.diagnose.takeovers import BORN_MS, Taken, encoded_rules, fresh, log_of, read

RULES = encoded_rules(
    rule("when: not isfinite(loss)", name="nan"),
    rule(
        "let: {usual: 'median(loss, last=4)'}\nwhen: loss > 3 * usual\nfor: 2\nkeep_firing: 3s", name="jump"
    ),
    rule("when: loss > 10 and mean(loss, over='10m') < 5\nclear_when: loss < 2", name="late"),
    rule("when: grad_norm > 10\nfor: 2s\ninhibited_by: [nan]", name="lasting"),
    rule("let: {usual: 'peers.median(loss)'}\nwhen: loss > 2 * usual", name="alone"),
    HANG, SILENT, STUCK,
)  # fmt: skip
OTHER_RULES = encoded_rules(
    rule("when: not isfinite(loss)", name="nan"), rule("when: loss > 15", name="late"), HANG, SILENT
)
RUNS = ("run", "other", "third")


def several(actions: Sequence[Action], runs: Sequence[int]) -> list[Message]:
    """A stream whose batches belong to several runs by turns."""
    messages: list[Message] = []
    for number, message in enumerate(stream(actions)):
        if isinstance(message, Batch):
            run = RUNS[runs[number % len(runs)]]
            ours = [msgspec.structs.replace(one, run=run) for one in message.resources]
            message = msgspec.structs.replace(message, run=run, resources=ours)
        messages.append(message)
    return messages


def values(made: Sequence[Outgoing]) -> list[bytes]:
    """To be compared whatever the order between runs."""
    return sorted(one.value for one in made)


@settings(max_examples=150)
@given(ACTIONS, st.lists(st.integers(0, 2), min_size=1, max_size=5), st.data())
def test_a_crash_anywhere_changes_nothing(
    actions: list[Action], runs: list[int], data: st.DataObject
) -> None:
    """Snapshot at any message, taken while more are read; crash at any later one, commit before it."""
    log = log_of([*several(actions, runs), tick(9_999.0)])
    begun = data.draw(st.integers(1, len(log)), "snapshot begins after")
    steps = data.draw(st.lists(st.integers(0, 4), max_size=6), "records read between its pieces")
    first, second = fresh(RULES), fresh(RULES)
    whole = read(first, log)
    made: list[Outgoing] = read(second, log[:begun])
    at = begun

    def between() -> None:
        nonlocal at
        more = steps.pop() if steps else 0
        made.extend(read(second, log[at : at + more]))
        at = min(at + more, len(log))

    taken = Taken(second, between)
    crash = data.draw(st.integers(at, len(log)), "crash before")
    made += read(second, log[at:crash])
    committed = data.draw(st.integers(0, crash), "committed")
    third = taken.taken_over(log, committed)
    repeated = read(third, log[committed:crash])
    assert {one.value for one in repeated} <= {one.value for one in made}
    assert values([*made, *read(third, log[crash:])]) == values(whole)


@settings(max_examples=60)
@given(ACTIONS, st.data())
def test_rules_switch_between_snapshot_and_crash(actions: list[Action], data: st.DataObject) -> None:
    """The rules of the snapshot's record are in force first, also where others come while it is taken."""
    messages = several(actions, [0, 1, 0, 2])
    switch = data.draw(st.integers(0, len(messages)))
    messages.insert(switch, Rules(1, decode(OTHER_RULES).digest, OTHER_RULES))
    log = log_of([*messages, tick(9_999.0)])
    whole, second = fresh(RULES), fresh(RULES)
    expected = read(whole, log)
    begun = data.draw(st.integers(1, len(log)))
    made, at = read(second, log[:begun]), begun

    def between() -> None:
        nonlocal at
        made.extend(read(second, log[at : at + 2]))
        at = min(at + 2, len(log))

    taken = Taken(second, between)
    crash = data.draw(st.integers(at, len(log)))
    made += read(second, log[at:crash])
    committed = data.draw(st.integers(0, crash))
    third = taken.taken_over(log, committed)
    assert {one.value for one in read(third, log[committed:crash])} <= {one.value for one in made}
    assert values([*made, *read(third, log[crash:])]) == values(expected)
    assert third.rules == whole.rules


def _firing() -> tuple[Partition, list[Incoming]]:
    log = log_of([batch([(0, step(0, seq=0, loss=float("nan")))], 0), tick(1.0), tick(2.0)])
    partition = fresh(RULES)
    assert len(read(partition, log)) == 1
    return partition, log


def test_another_life_of_the_topic_is_not_continued() -> None:
    """An embedded broker begins at offset 0 again: the record that the snapshot stands for is another one."""
    partition, log = _firing()
    taken = Taken(partition)
    again = [msgspec.convert({**_fields(one), "timestamp_ms": BORN_MS * 2}, Incoming) for one in log]
    with pytest.raises(ReplayError, match=r"record 2 of train.events is gone or another one now"):
        taken.taken_over(again, 1)
    with pytest.raises(ReplayError, match=r"train.events does not reach to record 2"):
        taken.taken_over(log[:2], 1)


def _fields(record: Incoming) -> dict[str, object]:
    return {
        "topic": record.topic, "partition": record.partition, "offset": record.offset,
        "value": record.value, "headers": [],
    }  # fmt: skip


def test_what_is_cut_off_or_damaged_is_refused() -> None:
    """Chunks that are missing, too many or changed; a head that is changed or of another version."""
    taken = Taken(_firing()[0])
    chunk, head = taken.chunks[0], form.encode_head(taken.head)
    newer = form.encode_head(msgspec.structs.replace(taken.head, version=9))
    for chunks in ([], [chunk, chunk], [chunk[:-1]], [bytes([chunk[0] ^ 1]) + chunk[1:]]):
        with pytest.raises(form.SnapshotFormError, match="it is cut off or damaged: expected 1 chunks"):
            form.assemble(taken.head, chunks)
    for damaged in (b"", head[:-1], head[:40] + bytes([head[40] ^ 1]) + head[41:]):
        with pytest.raises(form.SnapshotFormError, match="its head is damaged"):
            form.decode_head(damaged)
    with pytest.raises(form.SnapshotFormError, match="it is of version 9, expected 1"):
        form.decode_head(newer)


@settings(max_examples=60)
@given(st.binary(max_size=60), st.integers(0, 300))
def test_no_bytes_make_another_error(noise: bytes, place: int) -> None:
    """Noise anywhere is refused, never half read."""
    taken = Taken(_firing()[0])
    content = taken.chunks[0]
    changed = content[:place] + noise + content[place + len(noise) :]
    if changed != content:
        with pytest.raises(form.SnapshotFormError):
            form.assemble(taken.head, [changed])


def test_rules_that_this_version_cannot_load() -> None:
    """The snapshot is not used; one message says why."""
    taken = Taken(_firing()[0])
    snapshot = form.assemble(taken.head, taken.chunks)
    with pytest.raises(ReplayError, match="rules of the snapshot: rules: not a bundle"):
        Replay(form.Snapshot(snapshot.head, b"PK", snapshot.runs))


def test_a_state_with_another_content_than_expected_is_refused() -> None:
    """Whole bytes of a version that forgot to say that it is another one cost a longer replay, no worker."""
    partition, log = _firing()
    taken = Taken(partition)
    snapshot = form.assemble(taken.head, taken.chunks)
    odd = msgspec.structs.replace(snapshot.runs[0], state=encode({"rules": {}, "runs": [{"id": "run"}]}))
    replay = Replay(form.Snapshot(snapshot.head, snapshot.rules, [odd]))
    replay.take(log[2])
    with pytest.raises(ReplayError, match="run run cannot be restored: KeyError"):
        replay.done(3)
    head = msgspec.structs.replace(snapshot.head, engine=encode({"rules": {}}))
    with pytest.raises(ReplayError, match="its engine cannot be restored: KeyError"):
        Replay(form.Snapshot(head, snapshot.rules, []))


def test_records_that_could_not_be_read_are_left_out_again() -> None:
    """They were set aside when they were new."""
    partition, log = _firing()
    taken = Taken(partition)
    bad = Incoming("train.events", 0, 3, b"\xff", timestamp_ms=BORN_MS + 99)
    after = Incoming("train.events", 0, 4, events.encode(tick(3.0)), timestamp_ms=BORN_MS + 100)
    other = taken.taken_over([*log, bad, after], 5)
    assert other.engine.clock.now == 3 * SECOND


def test_a_large_run_is_cut_into_chunks() -> None:
    """Each fits into a message; all of them make the run again."""
    packer, state = form.Packer(), bytes(range(256)) * 20_000
    pieces = [form.Piece("", 0, RULES), form.Piece("x", 1, state), form.Piece("y", 1, b"small")]
    chunks = [chunk for piece in pieces for chunk in packer.add(piece)] + list(packer.rest())
    assert len(chunks) == 10
    assert max(map(len, chunks)) <= form.CHUNK_BYTES
    packed = [form.pack(chunk) for chunk in chunks]
    assert [packer.count(one) for one in packed] == list(range(10))
    head = form.Head(form.VERSION, "id", 0, 1, b"", 0, b"", packer.chunks, packer.digest)
    assert form.assemble(head, packed) == form.Snapshot(head, RULES, pieces[1:])
