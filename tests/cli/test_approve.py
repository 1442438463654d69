"""``trainwarden commands approve | reject``, on a real broker."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emitter.signing import TrustedKeys, verify
from emitter.vocabulary import topics
from emitter.vocabulary.control import Control
from stream.keys import OPERATOR
from stream.ledger.topics import Feed
from tests.cli.shell import Shell
from tests.fixtures import read_topic
from tests.stream.ledger.records import Case, awrite, write

pytestmark = pytest.mark.slow


@contextmanager
def _arbiter(kafka: str, case: Case, decision: str, **more: Any) -> Iterator[list[Control]]:
    """Stands for the arbiter: answers the first word about the case, and keeps it."""
    heard: list[Control] = []
    ready = threading.Event()

    async def listen() -> None:
        async with Feed(kafka, (topics.REMEDIATION_CONTROL,), past=False) as feed:
            ready.set()

            def seen(kind: str, data: dict[str, Any]) -> None:
                if kind == "word" and data.get("command") in (case.command_id, None):
                    heard.append(Control(**{**data, "silence": None}))

            while not heard:
                await feed.more(seen)
        await awrite(kafka, [case.decision(decision, author=heard[0].author, **more)])

    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    assert ready.wait(60)
    yield heard
    thread.join(60)


def test_approve_signs_and_tells_what_was_decided(broker: str, shell: Shell) -> None:
    """The word on the topic has the operator's signature, the author and the id; the answer is printed."""
    case = Case()
    write(broker, case.held())
    with _arbiter(broker, case, "approved") as heard:
        done = shell.run(
            "commands", "approve", case.command_id[:10], "--kafka", broker, "--reason", "looks right"
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"approved: rollback {case.command_id} goes out to {case.run}\n"
    assert (heard[0].kind, heard[0].command, heard[0].reason) == ("approve", case.command_id, "looks right")
    assert heard[0].author.startswith("ada@")
    (record,) = read_topic(
        broker, topics.REMEDIATION_CONTROL, len, lambda one: case.command_id.encode() in one.value
    )
    key = verify(record.value, dict(record.headers), TrustedKeys(shell.store.files[OPERATOR]))
    assert key == shell.store.newest(OPERATOR).public.id


def test_reject_and_its_json(broker: str, shell: Shell) -> None:
    """With --json, what was said and what was decided."""
    case = Case()
    write(broker, case.held())
    with _arbiter(broker, case, "rejected", reason="too risky"):
        done = shell.run(
            "commands", "reject", case.command_id, "--kafka", broker, "--reason", "too risky", "--json"
        )
    found = json.loads(done.stdout)
    assert (done.returncode, found["said"]["kind"], found["answer"]["decision"]) == (0, "reject", "rejected")


def test_a_refusal_has_its_cure_and_exit_code_1(broker: str, shell: Shell) -> None:
    """What the arbiter does not believe."""
    case = Case()
    write(broker, case.held())
    heard: list[Control]
    reason = "unknown_key: expected a key that is trusted here"
    with _refusing(broker, case, reason) as heard:
        done = shell.run("commands", "approve", case.command_id, "--kafka", broker)
    assert heard
    assert done.returncode == 1
    assert done.stdout.startswith(
        f"refused: {reason}; add your operator's public key (`trainwarden keys list`)"
    )


@contextmanager
def _refusing(kafka: str, case: Case, reason: str) -> Iterator[list[Control]]:
    class Refusing(Case):
        def decision(self, decision: str, **more: Any) -> Any:
            word = heard[0]
            return case.decision("refused", id=f"control/{word.id}/refused", reason=reason)

    refusing = Refusing(case.run)
    refusing.command_id = case.command_id
    heard: list[Control] = []
    with _arbiter(kafka, refusing, "refused") as listened:
        heard_from = listened
        heard = heard_from
        yield heard


def test_nobody_decides(broker: str, shell: Shell) -> None:
    """Without a worker: exit 3, and what becomes of the word."""
    case = Case()
    write(broker, case.held())
    said = shell.fails(3, "commands", "approve", case.command_id, "--kafka", broker, "--wait", "0.5")
    assert said.startswith(
        "no worker decided within 0.5 s; the word is written down and counts once a loop worker"
    )
    assert shell.run("commands", "approve", case.command_id, "--kafka", broker, "--wait", "0").returncode == 0


@pytest.mark.parametrize(
    ("decision", "more", "words"),
    [
        ("succeeded", {}, "already ended at {time}: succeeded"),
        ("failed", {"reason": "rank 0: rejected"}, "already ended at {time}: failed (rank 0: rejected)"),
        ("withdrawn", {"reason": "the run ended"}, "already ended at {time}: withdrawn (the run ended)"),
        ("expired", {"reason": "no rank did it"}, "expired at {time} (no rank did it)"),
        ("sent", {}, "was sent at {time}"),
        ("approved", {"author": "bo@x"}, "was approved by bo@x at {time}"),
    ],
)  # fmt: skip
def test_what_does_not_wait_for_approval(
    broker: str, shell: Shell, decision: str, more: dict[str, Any], words: str
) -> None:
    """One sentence: what became of it, and where to read on."""
    case = Case()
    end = case.decision(decision, **more)
    write(broker, [*case.held(), end])
    time = json.loads(end.value)["data"]["time"]
    said = shell.fails(3, "commands", "approve", case.command_id, "--kafka", broker)
    expected = (
        f"command {case.command_id} {words.format(time=time)}; `trainwarden commands why {case.command_id}`"
    )
    assert said == f"{expected} tells all of it"


def test_unknown_ids_name_the_nearest(broker: str, shell: Shell) -> None:
    """A typo in the middle, a beginning that is too short, one that fits two."""
    case, twin = Case(), Case()
    twin.command_id = case.command_id[:-4] + ("0000" if case.command_id[-4:] != "0000" else "1111")
    twin.command = case.command.__class__(**{**vars(twin.command), "id": twin.command_id})
    write(broker, [*case.held(), *twin.held()])
    wrong = case.command_id[:10] + "xx" + case.command_id[12:]
    for verb in (("approve",), ("reject", "--reason", "no")):
        said = shell.fails(3, "commands", verb[0], wrong, "--kafka", broker, *verb[1:])
        assert said.startswith(f"no command has the id {wrong}; did you mean ")
        assert case.command_id in said
    said = shell.fails(3, "commands", "why", "nothing-like-it", "--kafka", broker)
    assert said == (
        "no command, incident or diagnosis has the id nothing-like-it; `trainwarden incidents list` and"
        " `trainwarden commands watch` show those that are known"
    )
    said = shell.fails(3, "commands", "approve", case.command_id[:12], "--kafka", broker)
    assert said.startswith(f"{case.command_id[:12]} is how 2 ids begin: ")
    assert said.endswith("give more of it")


def test_without_a_key_it_says_how_to_make_one(broker: str, tmp_path: Path) -> None:
    """Of an operator for words, of a worker for commands; and a named file that is not there."""
    case, bare = Case(), Shell(tmp_path)
    write(broker, case.held())
    said = bare.fails(3, "commands", "approve", case.command_id, "--kafka", broker)
    assert "no operator's key; make one with `trainwarden keys new" in said
    said = bare.fails(3, "commands", "send", case.run, "save", "--attempt", "0", "--kafka", broker)
    assert "no worker's key; make one with `trainwarden keys new`" in said
    said = bare.fails(3, "commands", "reset-breaker", "--kafka", broker, "--key", "/nowhere.pem")
    assert said == "/nowhere.pem: cannot be read: No such file or directory"
