"""Headers of commands whose names are no UTF-8, which anybody may write who may write commands."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

import emitter
from emitter.vocabulary import topics
from emitter.vocabulary.commands import Command
from stream.topics import apply
from tests import raw_headers
from tests.emitter import kafka_side
from tests.emitter.receiver import Receiver
from tests.fixtures import own_broker, wait_for
from tests.keys import SENDER


def test_commands_behind_such_a_record_are_obeyed(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same batch, and with such a header of their own; aiokafka of the program is left as it is."""
    run, seen = uuid.uuid4().hex, list[Command]()
    emitter.on("save")(seen.append)
    sent = [kafka_side.command(run, "save", args={"kind": "forensic"}) for _ in range(2)]
    with own_broker(tmp_path) as broker:
        asyncio.run(apply(broker)).check()
        monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
        emitter.init(
            run, run_id=run, endpoint=receiver.url, commands=f"kafka://{broker}",
            resources=False, logs=False, hooks=False,
        )  # fmt: skip
        try:
            asyncio.run(raw_headers.send(broker, topics.REMEDIATION_COMMANDS, _batch(sent), run.encode()))
            steps = iter(range(10**9))

            def trained() -> bool:
                emitter.step(next(steps), loss=1.0)
                return len(seen) >= len(sent)

            wait_for(trained, 60, "the commands")
        finally:
            emitter.shutdown()
    assert sorted(one.id for one in seen) == sorted(one.id for one in sent)
    assert fetcher.MemoryRecords is MemoryRecords


def _batch(commands: list[Command]) -> list[raw_headers.Value]:
    """Something else with no name that is text, a command, a command with both."""
    first, second = (command.encode() for command in commands)
    return [
        (b"not a command", [raw_headers.NO_TEXT]),
        (first, _signed(first)),
        (second, [raw_headers.NO_TEXT, *_signed(second)]),
    ]


def _signed(value: bytes) -> list[raw_headers.Header]:
    return [(name.encode(), content) for name, content in SENDER.headers(value).items()]
