"""Real gloo ranks at paces of their own: they run a command at one count, all or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emitter.agreement.forked import Forks
from tests.emitter.agreement.ranks import started, to_ranks
from tests.fixtures import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def several(forks: Forks, folder: Path, size: int, commands: int, **how: str) -> None:
    """So many commands, in bunches, to ranks at random speeds that drift apart by up to 100 calls."""
    with started(forks, folder, size, **{"SLACK": "100", **how}) as ranks:  # type: ignore[arg-type]
        for bunch in range(0, commands, 5):
            sent = [ranks.command() for _ in range(min(5, commands - bunch))]
            for command in sent:
                acks = ranks.wait_acks(command)
                assert {ack["state"] for ack in acks.values()} == {"succeeded"}, acks
        ranks.assert_no_split()
        assert set(ranks.end()) == {0}, ranks.logs()
        found = ranks.ran()
        assert all(set(counts) == set(range(size)) for counts in found.values())
        print(f"{size} ranks by {how.get('by', 'forks')}, {commands} commands: {len(found)} run by all")
        assert len(found) == commands


@pytest.mark.parametrize(("size", "by", "commands"), [(2, "forks", 20)])
def test_every_rank_runs_at_the_same_call(
    forks: Forks, tmp_path: Path, size: int, by: str, commands: int
) -> None:
    """2 ranks, 20 commands; make test-nightly sends 200 to 2, 4 and 8, by torchrun and spawn too."""
    several(forks, tmp_path, size, commands, by=by)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("by", ["forks", "spawn", "torchrun"])
@pytest.mark.parametrize("size", [2, 4, 8])
def test_two_hundred_commands(forks: Forks, tmp_path: Path, size: int, by: str) -> None:
    """2, 4 and 8 ranks, 200 commands."""
    several(forks, tmp_path, size, 200, by=by)


def test_file_store(forks: Forks, tmp_path: Path) -> None:
    """A job that met over a file agrees over it."""
    several(forks, tmp_path, 2, 5, STORE="file")


def test_collectives_do_not_deadlock(forks: Forks, tmp_path: Path) -> None:
    """With an all_reduce in every step, a rank that holds early still lets the others come to the step."""
    several(forks, tmp_path, 2, 5, TOGETHER="1", SLACK="0", STEPS="100000")


def test_rank_that_never_steps_is_named(forks: Forks, tmp_path: Path) -> None:
    """Logging on rank 0 alone: nothing is run, the reason names the rank, and training goes on."""
    with started(forks, tmp_path, 2, SILENT="1") as ranks:
        command = ranks.command()
        acks = ranks.wait_acks(command)

        assert {ack["state"] for ack in acks.values()} == {"aborted"}
        assert all(
            ack["reason"].startswith("rank 1 has not called step() since init") for ack in acks.values()
        )
        assert ranks.ran() == {}
        ranks.wait_steps(ranks=[0])


def test_pause_holds_all_and_resume_reaches_them(forks: Forks, tmp_path: Path) -> None:
    """All ranks stand at one count until resume, which needs no step; commands in between are run there."""
    with started(forks, tmp_path, 2) as ranks:
        paused = ranks.wait_acks(ranks.command("pause"))
        assert {ack["state"] for ack in paused.values()} == {"succeeded"}
        counts = [ranks.count(rank) for rank in range(2)]
        saved = ranks.command()
        ranks.wait_acks(saved)
        assert counts[0] == counts[1]
        assert set(ranks.ran()[saved.id].values()) == set(counts)
        resumed = ranks.wait_acks(ranks.command("resume"))
        assert all(ack["detail"]["was_paused"] for ack in resumed.values())
        ranks.wait_steps()


def test_failing_handler_of_one_rank_is_its_answer(forks: Forks, tmp_path: Path) -> None:
    """Ranks that are not meant run nothing; a handler that raises is `failed`, and no split."""
    with started(forks, tmp_path, 2) as ranks:
        acks = ranks.wait_acks(ranks.command(args={"raise": 1}))
        assert [acks[rank]["state"] for rank in range(2)] == ["succeeded", "failed"]
        assert acks[1]["reason"] == "OSError: disk full"
        one = ranks.command(target=to_ranks(1))
        assert list(ranks.wait_acks(one, 1)) == [1]
        assert list(ranks.ran()[one.id]) == [1]
        ranks.wait_steps()


def test_stop_of_all_ranks_is_acknowledged_by_all(forks: Forks, tmp_path: Path) -> None:
    """Every rank's last word arrives although all of them end."""
    with started(forks, tmp_path, 2) as ranks:
        command = ranks.command("stop")
        assert set(ranks.codes()) == {0}, ranks.logs()
        wait_for(lambda: len(ranks.acks(command)) == 2, what=f"two acknowledgements: {ranks.acks(command)}")
        assert {ack["state"] for ack in ranks.acks(command).values()} == {"succeeded"}


def test_lease_ends_a_pause_on_all_ranks(forks: Forks, tmp_path: Path) -> None:
    """A pause whose resume never comes ends as a stop of every rank, at the count where all stood."""
    with started(forks, tmp_path, 2) as ranks:
        command = ranks.command("pause", args={"lease_s": 1})
        assert {ack["state"] for ack in ranks.wait_acks(command).values()} == {"succeeded"}
        assert set(ranks.codes()) == {0}, ranks.logs()
        assert ranks.count(0) == ranks.count(1)


def test_store_that_a_setting_names(forks: Forks, tmp_path: Path) -> None:
    """Without a process group ranks meet over `store=tcp://host:port`."""
    with started(forks, tmp_path, 2, own_store=True, STORE="given") as ranks:
        acks = ranks.wait_acks(ranks.command())
        assert [acks[rank]["state"] for rank in range(2)] == ["succeeded"] * 2
        ranks.assert_no_split()


def test_rate_that_one_rank_overwrites(forks: Forks, tmp_path: Path) -> None:
    """`set` is run by all, read back by each: the rank whose schedule brings the old rate back says so."""
    with started(forks, tmp_path, 2, OVERWRITES="1") as ranks:
        acks = ranks.wait_acks(ranks.command("set", args={"parameter": "lr", "scale": 0.1}))
        assert [acks[rank]["state"] for rank in range(2)] == ["succeeded", "failed"]
        assert acks[0]["detail"]["read_back"] == pytest.approx(1e-4)
        assert acks[1]["reason"] == "overwritten"
        assert acks[1]["detail"]["read_back"] == 1e-3
