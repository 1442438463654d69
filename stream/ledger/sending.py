"""A command by hand: signed, sent, and followed until every rank has said what became of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from emitter.vocabulary import actions, cloudevents, commands, topics
from emitter.vocabulary.commands import Command, Reason, Target
from stream.keys import Signer
from stream.ledger import topics as feeds
from stream.ledger.book import Record
from stream.ledger.runs import Known
from stream.ledger.topics import Feed
from stream.records import Outgoing

GRACE_S: Final = 2.0
"""How long others may still answer where it is not known how many ranks there are."""


def command_for(
    run: Known, action: str, args: dict[str, Any], *, ranks: Sequence[int] | None, node: str | None,
    lifetime_s: float, why: str,
) -> Command:  # fmt: skip
    """A new command to this run, valid from now on."""
    now = time.time_ns()
    return Command(
        id=secrets.token_hex(16),
        run=run.id,
        action=action,
        issued=cloudevents.rfc3339(now),
        expires=cloudevents.rfc3339(now + int(lifetime_s * 1e9)),
        attempt=run.attempt,
        args=args,
        target=Target(ranks=list(ranks) if ranks else "all", node=node),
        reason=Reason(summary=why),
    )


@dataclass
class Answers:
    """What the ranks said so far. ``wanted``: those that have to; empty where nobody knows."""

    command: str
    wanted: frozenset[int]
    last: dict[int | None, Record] = field(default_factory=dict)
    first_end: float | None = None

    def hear(self, kind: str, ack: Record) -> bool:
        """Whether it is an answer to this command; takes it in."""
        if kind != "ack" or ack["command"] != self.command:
            return False
        detail = ack.get("detail")
        named = detail.get("ranks") if isinstance(detail, dict) else None
        speaks_for = (
            named if ack["executor"] != actions.EMITTER and isinstance(named, list) else [ack["rank"]]
        )
        for rank in speaks_for:
            if (self.last.get(rank) or {}).get("state") not in commands.FINAL_STATES:
                self.last[rank] = ack
        if ack["state"] in commands.FINAL_STATES and self.first_end is None:
            self.first_end = time.monotonic()
        return True

    @property
    def missing(self) -> list[int]:
        """The ranks that have not said how it ended."""
        if any(str(ack["executor"]).startswith(actions.ACTOR) for ack in self.last.values()):
            return []
        ended = {rank or 0 for rank, ack in self.last.items() if ack["state"] in commands.FINAL_STATES}
        return sorted(self.wanted - ended)

    def complete(self) -> bool:
        """Whether all have said how it ended."""
        if any(ack["state"] not in commands.FINAL_STATES for ack in self.last.values()) or not self.last:
            return False
        if self.wanted:
            return not self.missing
        return self.first_end is not None and time.monotonic() - self.first_end > GRACE_S

    @property
    def succeeded(self) -> bool:
        """Every rank has done it."""
        return self.complete() and all(ack["state"] == commands.SUCCEEDED for ack in self.last.values())


async def send(
    kafka: str, command: Command, signer: Signer, wanted: Sequence[int], wait_s: float,
    heard: Callable[[Record], None],
) -> Answers:  # fmt: skip
    """Send it and hear the answers, until all are there or the time is over. Raises UnreachableError."""
    answers = Answers(command.id, frozenset(wanted))

    def seen(kind: str, data: Record) -> None:
        if answers.hear(kind, data):
            heard(data)

    async with Feed(kafka, (topics.REMEDIATION_ACKS,), past=False) as feed:
        await feeds.write(kafka, record(command, signer))
        await feeds.follow(feed, seen, answers.complete, wait_s)
    return answers


def record(command: Command, signer: Signer) -> Outgoing:
    """The signed record of a command."""
    value = command.encode()
    headers = [*cloudevents.HEADERS, *signer.headers(value)]
    return Outgoing(topics.REMEDIATION_COMMANDS, value, command.run.encode(), headers=headers)
