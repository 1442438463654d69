"""A rank, the leader or the store dies or stands still at every point of a round: no split, no deadlock."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.emitter.agreement.forked import Forks
from tests.emitter.agreement.ranks import LIMIT_S, Ranks, started
from tests.fixtures import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RESTART = 75
POINTS = [
    # rank, operation, part of the key
    (1, "Peek", "body"), (1, "Arm", "Arm"), (1, "Put", "vote"), (1, "Await", "decision"),
    (1, "Learn", "Learn"), (0, "Put", "body"), (0, "Await", "vote"), (0, "Swap", "decision"),
    (0, "Await", "done"), (0, "Drop", "decision"),
]  # fmt: skip
ACTS = ("kill", "stop", "kill-store", "stop-store")
ALL = [(point, when, act) for point in POINTS for when in ("before", "after") for act in ACTS]
SOME = [
    ((1, "Put", "vote"), "after", "kill"),
    ((0, "Swap", "decision"), "before", "kill"),
    ((1, "Await", "decision"), "before", "stop"),
    ((1, "Put", "vote"), "after", "kill-store"),
]


def names(case: object) -> str:
    """A test's name says where and what."""
    return "-".join(str(part) for part in case) if isinstance(case, tuple) else str(case)


@pytest.mark.parametrize(("point", "when", "act"), SOME, ids=names)
def test_some_faults(forks: Forks, tmp_path: Path, point: tuple[int, str, str], when: str, act: str) -> None:
    """4 of 80 faults; make test-nightly tries all of them."""
    fault(forks, tmp_path, 2, point, when, act)


@pytest.mark.nightly
@pytest.mark.parametrize(("point", "when", "act"), ALL, ids=names)
def test_all_faults(forks: Forks, tmp_path: Path, point: tuple[int, str, str], when: str, act: str) -> None:
    """10 points of a round, before and after, 4 things that happen there."""
    fault(forks, tmp_path, 2, point, when, act)


def fault(forks: Forks, folder: Path, size: int, point: tuple[int, str, str], when: str, act: str) -> None:
    rank, operation, key = point
    asked = f"{rank}:{operation}:{key}:{when}:{act}"
    with started(forks, folder, size, own_store=True, TRAINER_FAULT=asked) as ranks:
        ranks.command()
        wait_for((folder / "fault").exists, LIMIT_S, f"the fault {asked}")
        if act == "stop":
            let_go_on(ranks, rank)
        others = [other for other in range(size) if act != "kill" or other != rank]
        ends_or_goes_on(ranks, others)
        come_to_the_count(ranks, others)
        ranks.assert_no_split()
        print(f"{asked}: ran {ranks.ran()}, exit codes {[child.process.poll() for child in ranks.children]}")
        if act in ("kill", "stop"):
            assert all(ranks.children[other].process.poll() is None for other in others), ranks.logs()


def let_go_on(ranks: Ranks, rank: int) -> None:
    """The stopped rank wakes up once the others have had time to wait for it, or to decide."""
    other = 1 - rank
    before = ranks.count(other)
    # Either the others go on without it, or they wait for it at the agreed count: both end by waking it.
    with contextlib.suppress(pytest.fail.Exception):
        wait_for(lambda: ranks.count(other) > before + 50, 3.0)
    os.kill(ranks.children[rank].pid, signal.SIGCONT)


def ends_or_goes_on(ranks: Ranks, who: list[int]) -> None:
    """Nobody waits for ever: each makes steps, or has ended its attempt for the supervisor to see."""
    before = {rank: ranks.count(rank) for rank in who}

    def settled(rank: int) -> bool:
        return ranks.children[rank].process.poll() is not None or ranks.count(rank) > before[rank] + 50

    wait_for(lambda: all(settled(rank) for rank in who), LIMIT_S, "every rank to end or to go on")
    for rank in who:
        code = ranks.children[rank].process.poll()
        assert code in (None, RESTART), f"rank {rank} ended with {code}\n{ranks.logs()}"


def come_to_the_count(ranks: Ranks, who: list[int]) -> None:
    """If anybody ran the command, all that live come beyond that count: one may be far behind."""

    def beyond(rank: int) -> bool:
        ended = ranks.children[rank].process.poll() is not None
        return ended or all(ranks.count(rank) > max(ran.values()) for ran in ranks.ran().values())

    wait_for(lambda: all(beyond(rank) for rank in who), LIMIT_S, "every rank to pass the count or to end")
