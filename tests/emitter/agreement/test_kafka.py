"""From `remediation.commands` to every rank and back: real torchrun, real broker, signed bytes."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from emitter.vocabulary.commands import FINAL_STATES, Ack
from tests.emitter import kafka_side
from tests.emitter.agreement.forked import Forks
from tests.emitter.agreement.ranks import started
from tests.keys import SENDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_command_from_kafka_is_run_by_all_ranks_once(forks: Forks, tmp_path: Path, broker: str) -> None:
    """Rank 0 reads it, both run it at one call and acknowledge; sent again, both give the stored outcome."""
    run = f"agree-{uuid.uuid4().hex[:8]}"
    with started(forks, tmp_path, 2, by="torchrun", keys=SENDER, KAFKA=broker, RUN=run) as ranks:
        command = kafka_side.command(run, "save")
        kafka_side.send(broker, "remediation.commands", command)
        first = ended(kafka_side.acks_until(broker, run, 2, command=command, timeout=180))
        ran = ranks.ran()
        assert [ack.rank for ack in by_rank(first)] == [0, 1]
        assert {ack.state for ack in first} == {"succeeded"}
        assert set(ran[command.id]) == {0, 1}
        assert len(set(ran[command.id].values())) == 1

        kafka_side.send(broker, "remediation.commands", command)
        again = ended(kafka_side.acks_until(broker, run, 4, command=command, timeout=180))[2:]
        assert by_rank(again) == by_rank(first)
        ranks.wait_steps()
        assert ranks.ran() == ran

        # What one rank cannot do is that rank's answer, under its number.
        failing = kafka_side.command(run, "save", args={"raise": 1})
        kafka_side.send(broker, "remediation.commands", failing)
        answers = ended(kafka_side.acks_until(broker, run, 2, command=failing, timeout=180), failing.id)
        assert {ack.rank: (ack.state, ack.reason) for ack in answers} == {
            0: ("succeeded", None), 1: ("failed", "OSError: disk full"),
        }  # fmt: skip


def ended(acks: list[Ack], command: str | None = None) -> list[Ack]:
    return [ack for ack in acks if ack.state in FINAL_STATES and command in (None, ack.command)]


def by_rank(acks: list[Ack]) -> list[Ack]:
    return sorted(acks, key=lambda ack: ack.rank or 0)
