"""Commands to the supervisor: believed only when signed, left to the emitter while it answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from emitter._ranks import Identity
from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Ack, Command, decode_ack
from stream.supervise.orders import Orders
from tests.fixtures import Child, read_topic
from tests.keys import SENDER, Held, Pair
from tests.stream.supervise.rig import FAST, HANGS, STEPS, Told, python, start, told
from tests.stream.supervise.test_hangs import HANG

ME = Identity("small", "small", 1, 0, 0, 1, None, "e" * 32)


def _command(action: str = "restart", **fields: Any) -> Command:
    now = time.time_ns()
    made = {
        "id": "c1", "run": "small", "action": action, "attempt": 1,
        "issued": cloudevents.rfc3339(now), "expires": cloudevents.rfc3339(now + 600 * 10**9),
    }  # fmt: skip
    return Command(**{**made, **fields})


class Desk:
    """Orders with what came through and what was answered."""

    def __init__(self, allow: list[str] | None = None) -> None:
        self.asked: list[Command] = []
        self.acks: list[Ack] = []
        self.orders = Orders(ME, "here", Held(SENDER), lambda: allow, self.asked.append)
        self.orders.send = self.acks.append
        self.orders.ranks = [0, 1]

    def take(self, command: Command, pair: Pair = SENDER, position: int = 0) -> tuple[str, str | None] | None:
        """State and reason of the last answer."""
        payload = command.encode()
        self.orders.receive(payload, position, pair.headers(payload), command.run.encode())
        return (self.acks[-1].state, self.acks[-1].reason) if self.acks else None


def test_a_signed_command_comes_through() -> None:
    """Once, however often it is sent while it is open; answered with its outcome afterwards."""
    desk, command = Desk(), _command()

    assert desk.take(command) is None
    assert desk.asked == [command]
    desk.orders.running(command)
    desk.orders.finish(command, commands.SUCCEEDED)
    desk.take(command, position=7)
    assert [ack.state for ack in desk.acks] == ["running", "succeeded", "succeeded"]
    assert desk.asked == [command]
    ack = desk.acks[-1]
    assert (ack.executor, ack.rank, ack.detail["ranks"], ack.attempt) == ("supervisor", None, [0, 1], 1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"attempt": 0}, "stale_attempt"),
        ({"attempt": 2}, "future_attempt"),
        ({"issued": "2100-01-01T00:00:00Z"}, "clock_skew"),
        ({"issued": "2020-01-01T00:00:00Z", "expires": "2020-01-02T00:00:00Z"}, "expired"),
        ({"action": "stop"}, "not_allowed"),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], reason: str) -> None:
    """With the same reasons as the emitter's."""
    desk, command = Desk(allow=["restart"]), _command(**wrong)

    assert (desk.take(command) or ("", ""))[1] == reason
    assert desk.asked == []


def test_what_is_not_believed() -> None:
    """Unsigned, a key that nobody trusts, bytes that were altered; the true one may still come."""
    desk, command = Desk(), _command()
    payload = command.encode()

    assert desk.take(command, Pair("stranger"), 1) == ("rejected", "unknown_key")
    desk.orders.receive(payload, 2, {}, b"small")
    assert desk.acks[-1].reason == "unsigned"
    desk.orders.receive(payload + b" ", 3, SENDER.headers(payload), b"small")
    assert desk.acks[-1].reason == "bad_signature"
    assert desk.asked == []
    desk.take(command, position=4)
    assert desk.asked == [command]


def test_what_is_not_for_a_supervisor() -> None:
    """Other runs, other nodes, and what only the emitter can do: neither done nor answered."""
    desk = Desk()
    for command in (
        _command(run="other"),
        _command(target=commands.Target(node="elsewhere")),
        _command(target=commands.Target(ranks=[5])),
        _command("set"),
        _command("pause"),
        _command("notify"),
    ):
        desk.take(command)

    assert (desk.asked, desk.acks) == ([], [])


# With a broker


def _send(broker: str, command: Command) -> None:
    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker)
        await producer.start()
        try:
            payload = command.encode()
            await producer.send_and_wait(
                topics.REMEDIATION_COMMANDS, payload, key=command.run.encode(),
                headers=[*cloudevents.HEADERS, *SENDER.headers(payload).items()],
            )  # fmt: skip
        finally:
            await producer.stop()

    asyncio.run(send())


def _acks(broker: str, command: Command, states: list[str]) -> list[Ack]:
    def mine(record: Any) -> bool:
        if record.key != command.run.encode():  # other tests leave bytes that are no ack
            return False
        ack = decode_ack(record.value)
        return ack.command == command.id and ack.executor == "supervisor"

    def enough(found: list[Any]) -> bool:
        return {decode_ack(record.value).state for record in found} >= set(states)

    return [
        decode_ack(record.value) for record in read_topic(broker, topics.REMEDIATION_ACKS, enough, mine, 90.0)
    ]


def _supervised(
    tmp_path: Path, broker: str, code: str, run: str, options: tuple[str, ...], name: str = "a"
) -> tuple[Child, Callable[[], list[Told]]]:
    folder = tmp_path / name
    folder.mkdir()
    child = start(
        folder, python(folder, code), options, TRAINWARDEN_COMMANDS=f"kafka://{broker}",
        TRAINWARDEN_RUN_ID=run, TRAINWARDEN_TRUSTED_KEYS=str(SENDER.trust(folder / "trusted_keys")),
    )  # fmt: skip
    return child, lambda: told(folder)


def _words(read: Callable[[], list[Told]], state: str) -> list[Told]:
    return [one for one in read() if one.values.get("lifecycle.state") == state and one.role == "supervisor"]


def test_what_a_hung_trainer_cannot_do_is_done_from_outside(tmp_path: Path, broker: str) -> None:
    """dump_stacks is answered with the stacks; a rollback restarts from its checkpoint with its scale."""
    run = f"hung-{os.getpid()}-{time.time_ns()}"
    code = (
        STEPS
        + HANG
        + "if resume:\n    print('from', resume, emitter.lr_scale())\n    go(20)\n"
        + "else:\n    go(12)\n    stuck()\n"
    )
    child, read = _supervised(tmp_path, broker, code, run, (*HANGS, "--on-hang", "report"))
    child.wait_until(lambda: _words(read, "stalled"), "the hang", 90.0)

    dump = _command("dump_stacks", id=f"{run}-1", run=run, attempt=0)
    _send(broker, dump)
    (done,) = [ack for ack in _acks(broker, dump, ["succeeded"]) if ack.state == "succeeded"]
    assert done.detail["ranks"] == [0]
    assert "stuck" in done.detail["groups"][0]

    path = tmp_path / "a" / "5.txt"
    args = {"checkpoint": {"path": str(path), "step": 5}, "lr_scale": 0.5}
    rollback = _command("rollback", id=f"{run}-2", run=run, attempt=0, args=args)
    _send(broker, rollback)
    states = [ack.state for ack in _acks(broker, rollback, ["succeeded"])]
    assert states == ["running", "succeeded"]
    assert child.process.wait(90) == 0
    assert f"from {path} 0.5" in child.log()
    assert [one.values["exit.cause"] for one in _words(read, "exited")] == ["restart", "finished"]


def test_on_several_nodes_they_wait_for_one_command(tmp_path: Path, broker: str) -> None:
    """Two supervisors: each reports its failure and waits; one restart of the run starts both anew."""
    run = f"nodes-{os.getpid()}-{time.time_ns()}"
    code = STEPS + "if os.environ['TRAINWARDEN_ATTEMPT_BASE'] == '0':\n    go(3)\n    sys.exit(4)\ngo(6)\n"
    both = [_supervised(tmp_path, broker, code, run, (*FAST, "--several-nodes"), name) for name in ("a", "b")]
    for child, read in both:
        child.wait_until(lambda read=read: _words(read, "waiting"), "the wait", 90.0)  # type: ignore[misc]

    command = _command("restart", id=f"{run}-1", run=run, attempt=0)
    _send(broker, command)

    for child, read in both:
        assert child.process.wait(90) == 0
        assert [one.attempt for one in _words(read, "launched")] == [0, 1]
        assert "waits for a restart of the whole run" in child.log()
    assert {ack.state for ack in _acks(broker, command, ["succeeded"])} == {"running", "succeeded"}
