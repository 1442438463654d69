"""The pure parts: stalls, groups of stacks, endings, restarts, checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary.supervision import Pulse, decode_pulse
from stream.supervise import ending, launch, pulses
from stream.supervise.checkpoints import Book
from stream.supervise.clusters import Stack, group, odd
from stream.supervise.ending import Seen, Tail, classify
from stream.supervise.restarts import Again, GiveUp, Restarts, Terms
from stream.supervise.watching import Limits, Watch

S = 10**9
RAISED = {"exception.type": "RuntimeError", "exception.message": "peer"}
PULSE = Pulse(
    rank=0, pid=100, time=0.0, monotonic_ns=1000 * S, progress_ns=1000 * S, phase="train", steps=10, step=9
)


def _limits(watch: Watch, pulse: Pulse, silent_s: float, stalled_s: float) -> tuple[bool, bool]:
    """Whether the rank is found silent, and beyond its limit, so long after the pulse and the progress."""
    now = max(pulse.monotonic_ns + int(silent_s * S), pulse.progress_ns + int(stalled_s * S))
    moved = replace(pulse, monotonic_ns=now - int(silent_s * S), progress_ns=now - int(stalled_s * S))
    found = watch.look([moved], now)
    return (bool(found) and found[0].silent, bool(found) and found[0].over)


@pytest.mark.parametrize(
    ("phase", "steps", "silent_s", "stalled_s", "expected"),
    [
        ("train", 10, 1, 290, (False, False)),
        ("train", 10, 1, 310, (False, True)),
        ("data", 10, 1, 310, (False, True)),
        ("train", 10, 89, 89, (False, False)),
        ("train", 10, 91, 91, (True, False)),
        ("init", 0, 1, 3500, (False, False)),
        ("init", 0, 1, 3700, (False, True)),
        ("eval", 10, 1, 3500, (False, False)),
        ("checkpoint", 10, 1, 3700, (False, True)),
        ("paused", 10, 1, 100000, (False, False)),
    ],
)
def test_what_is_a_stall(
    phase: str, steps: int, silent_s: float, stalled_s: float, expected: tuple[bool, bool]
) -> None:
    """Five minutes in training, an hour elsewhere, never in a pause; silence after three heartbeats."""
    pulse = replace(PULSE, phase=phase, steps=steps)

    assert _limits(Watch(Limits()), pulse, silent_s, stalled_s) == expected


def test_slow_steps_have_a_longer_limit() -> None:
    """Two and a half times the slowest recent step; a rank that ended is not judged."""
    watch = Watch(Limits())
    for step in range(3):
        at = (1000 + 200 * step) * S
        assert watch.look([replace(PULSE, steps=step + 1, monotonic_ns=at, progress_ns=at)], at) == []
    last = replace(PULSE, steps=3, progress_ns=1400 * S)
    alive = replace(last, monotonic_ns=1890 * S)

    assert watch.look([alive], 1890 * S) == []
    (found,) = watch.look([replace(last, monotonic_ns=1910 * S)], 1910 * S)
    assert (found.over, found.limit_s) == (True, 500.0)
    assert watch.look([replace(last, ended={"lifecycle.state": "finished"})], 9999 * S) == []


def _stack(rank: int, *frames: tuple[str, str, str | None], line: int = 1) -> Stack:
    made = [
        {"name": name, "filename": file, "short_filename": file, "module": module, "line": line}
        for name, file, module in frames
    ]
    return Stack(100 + rank, rank, [{"os_thread_id": 100 + rank, "frames": made}])


WAIT = (("pthread_cond_wait", "libc.so", "libc.so"), ("all_reduce", "dist.py", None), ("train", "t.py", None))
STUCK = (("nanosleep", "libc.so", "libc.so"), ("stuck", "t.py", None), ("train", "t.py", None))


def test_the_odd_one_out_of_many() -> None:
    """Seven of eight wait at the same place, whatever the line; the eighth is named with its place."""
    stacks = [_stack(rank, *WAIT, line=rank) for rank in range(8) if rank != 5] + [_stack(5, *STUCK)]
    groups = group(stacks)

    assert [one.ranks for one in groups] == [(0, 1, 2, 3, 4, 6, 7), (5,)]
    assert str(groups[1]) == "rank 5: nanosleep (libc.so:1) < stuck (t.py:1) < train (t.py:1)"
    assert odd(groups, []) == [5]


def test_of_two_the_silent_one_is_odd() -> None:
    """Without a majority the stacks alone do not say who is wrong."""
    groups = group([_stack(0, *WAIT), _stack(1, *STUCK)])

    assert odd(groups, [1]) == [1]
    assert odd(groups, []) == []
    assert odd(groups, [0, 1], [1]) == [1]
    assert odd(groups, [0], [1]) == [0]


def test_native_frames_count_where_python_is_alike() -> None:
    """All are in the same call; one of them waits elsewhere in the kernel."""
    other = (("ioctl", "libc.so", "libc.so"), *WAIT[1:])
    groups = group([_stack(0, *WAIT), _stack(1, *WAIT), _stack(2, *other)])

    assert odd(groups, []) == [2]


@pytest.mark.parametrize(
    ("seen", "cause", "code", "reason"),
    [
        (Seen(0), ending.FINISHED, 0, "the trainer finished"),
        (Seen(3 << 8), ending.FAILED, 3, "exit code 3"),
        (Seen(11), ending.SIGNAL, 139, "signal SIGSEGV"),
        (Seen(9), ending.KILLED, 137, "signal SIGKILL; neither we nor the kernel's memory killer sent it"),
        (Seen(9, oom_kills=1), ending.OOM_KILLED, 137, "signal SIGKILL: the control group ran out of memory"),
        (
            Seen(9, kernel="Out of memory: Killed process 100 (python)"), ending.OOM_KILLED, 137,
            "signal SIGKILL: Out of memory: Killed process 100 (python)",
        ),
        (Seen(1 << 8, oom_kills=1), ending.OOM_KILLED, 1, "exit code 1: the control group ran out of memory"),
        (Seen(9, ours="rank 0 hangs"), ending.HUNG, 137, "rank 0 hangs"),
        (Seen(15, outside=[15]), ending.PREEMPTED, 143, "signal SIGTERM, after SIGTERM came from outside"),
        (Seen(10, outside=[10]), ending.PREEMPTED, 138, "signal SIGUSR1, after SIGUSR1 came from outside"),
        (Seen(75 << 8), ending.RESTART, 75, "a restart was asked for"),
        (Seen(None), ending.KILLED, 137, "signal SIGKILL; neither we nor the kernel's memory killer sent it"),
        (
            Seen(1 << 8, exception=("ValueError", "x"), trace="..."), ending.EXCEPTION, 1,
            "exit code 1: ValueError: x",
        ),
        (
            Seen(1 << 8, exception=("ValueError", "x"), trace="...", oom_kills=1), ending.EXCEPTION, 1,
            "exit code 1: ValueError: x",
        ),
        (
            Seen(1 << 8, pulses=[PULSE, replace(PULSE, rank=1, ended={"exit.code": 1})]), ending.KILLED, 1,
            "exit code 1: rank 0 ended without a word",
        ),
        (
            Seen(1 << 8, pulses=[PULSE, replace(PULSE, rank=1, ended=RAISED, monotonic_ns=1001 * S)]),
            ending.KILLED, 1, "exit code 1: rank 0 ended without a word; then RuntimeError: peer",
        ),
        (
            Seen(1 << 8, pulses=[PULSE, replace(PULSE, rank=1, ended=RAISED, monotonic_ns=999 * S)]),
            ending.EXCEPTION, 1, "exit code 1: RuntimeError: peer",
        ),
        (
            Seen(1 << 8, pulses=[replace(PULSE, ended={"exit.code": 75}, asked={"action": "rollback"})]),
            ending.RESTART, 75, "a rollback was asked for",
        ),
    ],
)  # fmt: skip
def test_why_it_ended(seen: Seen, cause: str, code: int, reason: str) -> None:
    """One word, the code we exit with, and a sentence."""
    over = classify(seen)

    assert (over.cause, over.code, over.reason) == (cause, code, reason)


TRACE = ["Traceback (most recent call last):", '  File "t.py", line 1, in <module>', "    boom()"]


@pytest.mark.parametrize("prefix", ["", "[rank1]: ", "[default0]:"])
def test_the_last_traceback_of_the_output(prefix: str) -> None:
    """Of two the last; what launchers put before lines is no part of it."""
    tail = Tail()
    for line in [
        *TRACE,
        "KeyError: 'a'",
        "step 3",
        *TRACE,
        "torch.OutOfMemoryError: CUDA out of memory",
        "bye",
    ]:
        tail.take(prefix + line)

    assert tail.exception == ("torch.OutOfMemoryError", "CUDA out of memory")
    assert tail.trace == "\n".join([*TRACE, "torch.OutOfMemoryError: CUDA out of memory"])
    assert tail.lines[-1] == prefix + "bye"


@given(st.lists(st.text(max_size=40), max_size=60))
def test_any_output_has_a_tail(lines: list[str]) -> None:
    """Whatever is printed, reading it does not fail and keeps little."""
    tail = Tail()
    for line in [*TRACE, *lines]:
        tail.take(line)

    assert len(tail.lines) <= ending.LINES_KEPT


def _again(restarts: Restarts, step: int | None, now_s: float, lived_s: float = 1.0) -> float | str | None:
    verdict = restarts.after(ending.FAILED, lived_s, step, now_s)
    if isinstance(verdict, Again):
        return verdict.delay_s
    return verdict.reason if isinstance(verdict, GiveUp) else None


def test_waits_grow_and_begin_anew_after_healthy_time() -> None:
    """Exponential, bounded, with chance; an attempt that lived long enough resets it."""
    restarts = Restarts(Terms(most=100, longest_s=8.0), chance=lambda low, high: high)

    assert [_again(restarts, step, step) for step in range(5)] == [1, 2, 4, 8, 8]
    assert _again(restarts, 10, 10, lived_s=700.0) == 1
    lowest = Restarts(Terms(), chance=lambda low, high: low)
    assert _again(lowest, 1, 0) == 0.5


def test_a_budget_in_a_window() -> None:
    """So many failures in an hour, and those from before do not count."""
    restarts = Restarts(Terms(most=2, window_s=60.0), chance=lambda low, high: high)

    assert [_again(restarts, step, now) for step, now in ((1, 0), (2, 10), (3, 69))] == [1, 2, 4]
    assert _again(restarts, 4, 68) == "giving up after 2 restarts in 1 minutes"


def test_no_progress_twice_in_a_row() -> None:
    """Two attempts that come no further than any before."""
    restarts = Restarts(Terms())

    for step in (200, 150, 201, 201):
        assert isinstance(_again(restarts, step, 0.0), float)
    assert "2 in a row came no further than step 201" in str(_again(restarts, 180, 0.0))


@pytest.mark.parametrize("cause", [ending.FINISHED, ending.PREEMPTED, ending.STOPPED])
def test_what_is_not_started_again(cause: str) -> None:
    """An end that was wanted."""
    assert Restarts(Terms()).after(cause, 1.0, 5, 0.0) is None


def _row(step: int, **more: Any) -> dict[str, Any]:
    return {
        "step": step,
        "path": f"{step}.pt",
        "kind": "regular",
        "verified": True,
        "time": float(step),
        "rank": 0,
        **more,
    }


def _book(tmp_path: Path, *rows: dict[str, Any], gone: tuple[str, ...] = ()) -> Book:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "checkpoints.jsonl").write_text(text + '{"step": 999, "pa')
    book = Book(lambda path: path not in gone)
    book.add(tmp_path)
    return book


def test_the_newest_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    """Regular, verified by every rank that wrote it, and still there."""
    rows = [
        _row(10), _row(20), _row(30), _row(40, verified=False), _row(50, kind="forensic"), _row(60),
        _row(70), _row(70, rank=1, verified=False),
    ]  # fmt: skip
    book = _book(tmp_path, *rows, gone=("60.pt",))

    assert getattr(book.newest(), "step", None) == 30
    assert getattr(book.newest(before=30), "step", None) == 20
    assert book.named({"checkpoint": {"path": "10.pt", "step": 10}}) == "10.pt"
    assert book.named({"checkpoint": {"path": "60.pt", "step": 60}, "before_step": 20}) == "10.pt"


def test_what_a_rollback_undid_is_no_way_back(tmp_path: Path) -> None:
    """Saved before the rollback and behind its step: void; saved after it: good."""
    book = _book(tmp_path, _row(10), _row(20), _row(30), _row(15, time=100.0))
    book.undo(50.0, 10)

    assert getattr(book.newest(), "step", None) == 15


def test_pulses_of_files(tmp_path: Path) -> None:
    """Files that are not whole or no pulse are passed over; ranks beyond the node are counted."""
    two = replace(PULSE, rank=1, world_size=4, local_world_size=2, step=30)
    for pulse in (PULSE, two):
        (tmp_path / pulse.file()).write_text(pulse.encode())
    (tmp_path / "7.json").write_text('{"rank": 7')
    (tmp_path / "8.json").write_text("[]")

    found = pulses.read(tmp_path)
    assert found == [PULSE, two]
    assert decode_pulse(two.encode()) == two
    assert pulses.furthest(found) == 30
    assert pulses.on_several_nodes(found)
    assert not pulses.on_several_nodes([PULSE])


@pytest.mark.parametrize(
    ("command", "name", "several"),
    [
        ("python -u train.py --lr 1", "train", False),
        ("torchrun --nnodes 2 --rdzv-id=job train_gpt.py", "train_gpt", True),
        ("python -m torch.distributed.run --nnodes=1:4 -m my.trainer", "my.trainer", True),
        ("torchrun --nnodes=1 --nproc-per-node 8 a.py", "a", False),
        ("accelerate launch --num_machines 2 run.py", "run", True),
        ("./train", "train", False),
    ],
)
def test_what_a_command_says(command: str, name: str, several: bool) -> None:
    """The run's name, and whether it is one node's part."""
    words = command.split()

    assert (launch.name_of(words), launch.several_nodes(words)) == (name, several)


def test_srun_starts_all_nodes() -> None:
    """Who supervises srun starts all ranks of all nodes again."""
    assert launch.starts_all_nodes(["/usr/bin/srun", "-N2", "python", "train.py"])
    assert not launch.starts_all_nodes(["torchrun", "--nnodes", "2"])
