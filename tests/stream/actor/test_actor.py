"""``trainwarden actor`` as a process on a real broker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emitter.vocabulary import commands, topics
from emitter.vocabulary.commands import Target
from stream.records import Outgoing
from tests.fixtures import Child, read_topic
from tests.keys import Pair
from tests.stream.ledger.records import Case, write

pytestmark = pytest.mark.slow


def test_an_actor_acknowledges_what_it_did(broker: str, tmp_path: Path) -> None:
    """A signed command runs the program, an unsigned one does not; SIGTERM ends it with 0."""
    pair, good, bad = Pair(), Case(action="exclude_node"), Case(action="exclude_node")
    seen = tmp_path / "seen"
    child = Child(
        [
            sys.executable, "-m", "stream.cli", "actor", "--action", "exclude_node", "--name", good.run,
            "--trusted-keys", str(pair.trust(tmp_path / "trusted")), "--kafka", broker, "--run", good.run,
            "--run", bad.run, "--", "touch", f"{seen}-{{node}}",
        ], tmp_path / "actor.log",
    )  # fmt: skip

    def record(case: Case, signed: bool) -> Outgoing:
        command = case.command.__class__(**{**vars(case.command), "target": Target(node="node-3")})
        value = command.encode()
        return Outgoing(
            topics.REMEDIATION_COMMANDS, value, case.run.encode(),
            headers=list(pair.headers(value).items()) if signed else [],
        )  # fmt: skip

    try:
        child.wait_until(lambda: "waits for: exclude_node" in child.log(), "the start")
        write(broker, [record(bad, False), record(good, True)])
        runs = {good.run.encode(), bad.run.encode()}
        acks = [
            commands.decode_ack(one.value)
            for one in read_topic(
                broker, topics.REMEDIATION_ACKS, lambda found: len(found) >= 5,
                lambda one: one.key in runs, timeout=60,
            )
        ]  # fmt: skip
        assert [a.state for a in acks if a.command == bad.command_id] == ["received", "rejected"]
        assert [a.reason for a in acks if a.command == bad.command_id] == [None, "unsigned"]
        assert [a.state for a in acks if a.command == good.command_id] == ["received", "running", "succeeded"]
        assert {a.executor for a in acks} == {f"actor:{good.run}"}
        assert Path(f"{seen}-node-3").exists()
        assert child.stop() == 0
    finally:
        child.kill()
