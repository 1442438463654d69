"""What was kept in ClickHouse tells the same story as the topics, when these hold nothing any more."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import pytest

from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Ack, Command
from emitter.vocabulary.control import Control
from stream import history
from stream.cli import story_page
from stream.history import ledger
from stream.ledger import book as books
from stream.ledger import story
from stream.ledger.book import Book
from stream.records import Outgoing
from stream.remediate.decisions import Decision, record
from tests.dashboards.rig import new_history
from tests.stream.ledger.keeping import keep
from tests.stream.remediate.scenes import RUN, START_NS, Scene, firing


def _told() -> Iterator[Outgoing]:
    """Everything that a held, approved and answered rollback leaves on the topics."""
    scene = Scene("approve")
    scene.lifecycle("started", rank=0, run_name="gpt")
    scene.checkpoint(100, at_s=-50)
    yield Outgoing(topics.TRAIN_DIAGNOSES, firing("gradient-explosion", 1).encode())
    scene.fire(at_s=1)
    acks = [Ack(scene.sent[0].id, RUN, state, _at(2), 0, rank=0, step=121) for state in _STATES]
    scene.ack(scene.sent[0], commands.SUCCEEDED, rank=0)
    scene.tick(8)
    held = next(d.command for d in scene.made if d.decision == "held" and d.command is not None)
    scene.say("approve", command=held.id, reason="looks right")
    acks += [Ack(held.id, RUN, state, _at(9), 0, rank=0, step=130) for state in _STATES]
    scene.ack(scene.sent[1], commands.SUCCEEDED, rank=0)
    scene.resolve(at_s=1)
    scene.tick(60)
    for ack in acks:
        yield Outgoing(topics.REMEDIATION_ACKS, ack.encode())
    for word in (report.word for report in scene.log if report.word is not None):
        yield Outgoing(topics.REMEDIATION_CONTROL, Control(**word.data).encode())
    for made in scene.all:
        if isinstance(made, Command):
            yield Outgoing(topics.REMEDIATION_COMMANDS, made.encode(), made.run.encode())
        else:
            yield record(made) if isinstance(made, Decision) else made


def _at(seconds: float) -> str:
    return cloudevents.rfc3339(START_NS + int(seconds * 1e9))


def _page(book: Book, identity: str) -> list[str]:
    out = io.StringIO()
    with redirect_stdout(out):
        story_page.show(story.tell(book, identity))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.slow
def test_why_says_the_same_from_clickhouse_alone(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the diagnosis, the incident and each command: page and timeline, letter by letter."""
    monkeypatch.setenv("COLUMNS", "200")
    records, topics_book, place = list(_told()), Book(), new_history(clickhouse_url)
    for one in records:
        found = books.read(one.value)
        if found is not None:
            topics_book.add(*found)
    keep(place, [one for one in records if one.topic != topics.TRAIN_PLACEMENTS])
    identities = [*topics_book.commands, *topics_book.incidents, *(one for one, _ in topics_book.diagnoses)]
    assert len(identities) == 4
    with history.connect(place) as client:

        def ask(query: ledger.Query) -> list[Mapping[str, Any]]:
            return list(client.query(query.sql, parameters=dict(query.parameters)).named_results())

        for identity in identities:
            page = _page(topics_book, identity)
            assert _page(ledger.about(ask, identity), identity) == page
            for words in ("looks right", "approved", "gradient-explosion", "succeeded"):
                assert words in "\n".join(page)


_STATES = (commands.RECEIVED, commands.RUNNING, commands.SUCCEEDED)
