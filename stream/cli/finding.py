"""Where a command finds the ledger: ClickHouse where it is known, the topics where only they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from emitter.vocabulary import stack as discovery
from emitter.vocabulary.topics import REMEDIATION_INTENTS
from stream.cli.options import USAGE, fail

if TYPE_CHECKING:
    from stream.history.ledger import Query, Run
    from stream.keys import Signer
    from stream.ledger.book import Book
    from stream.ledger.runs import Known


class Places:
    """The endpoints a command was given, or those of the running local stack; ``""`` where unknown."""

    def __init__(self, context: typer.Context, kafka: str | None, clickhouse: str | None) -> None:
        stack = discovery.read_stack() or {"endpoints": {}}
        named = {name for name in ("kafka", "clickhouse") if _typed(context, name)}
        self.kafka = kafka or stack["endpoints"].get("kafka") or ""
        # Who types --kafka alone asks the topics.
        only_topics = named == {"kafka"}
        self.clickhouse = "" if only_topics else clickhouse or stack["endpoints"].get("clickhouse") or ""
        if not self.kafka and not self.clickhouse:
            fail(
                "neither kafka nor clickhouse is known: give --kafka or --clickhouse, set"
                f" {discovery.ENV_KAFKA} or {discovery.ENV_CLICKHOUSE}, or start a stack with"
                " `trainwarden up`",
                USAGE,
            )

    @property
    def broker(self) -> str:
        """The brokers, or one clear error."""
        if not self.kafka:
            fail(
                f"no kafka is known: give --kafka, set {discovery.ENV_KAFKA}, or start a stack with"
                " `trainwarden up`",
                USAGE,
            )
        return self.kafka

    def about(self, identity: str) -> Book:
        """What is known about ids that begin like this, with others to compare them with."""
        from stream.history import ledger
        from stream.ledger import topics

        if not self.clickhouse:
            return asyncio.run(topics.read_all(self.kafka))
        with self.asking() as run:
            book = ledger.about(run, identity)
            if book.decisions or book.commands or book.diagnoses:
                return book
            if not self.kafka:
                return ledger.known(run)
        # The history may be a little behind.
        return asyncio.run(topics.read_all(self.kafka))

    def rows(self, *queries: Query) -> Book:
        """The records of these queries; from topics alone, everything."""
        from stream.history import ledger
        from stream.ledger import topics
        from stream.ledger.book import Book

        if not self.clickhouse:
            return asyncio.run(topics.read_all(self.kafka))
        book = Book()
        with self.asking() as run:
            ledger.fill(book, run, *queries)
        return book

    def breaker(self) -> Book:
        """What is known of the circuit breaker."""
        from stream.history import ledger
        from stream.ledger import topics, words

        if self.clickhouse:
            book = self.rows(ledger.breaker())
            if words.tripped(book) is not None:
                return book
        # The history may be a little behind.
        return asyncio.run(topics.read_all(self.broker, (REMEDIATION_INTENTS,)))

    def run(self, wanted: str) -> Known:
        """The run of this id or name. Raises NoRunError."""
        from stream.ledger import runs

        if not self.clickhouse:
            return asyncio.run(runs.in_placements(self.broker, wanted))
        with self.asking() as run:
            return runs.in_history(run, wanted)

    @contextmanager
    def asking(self) -> Iterator[Run]:
        """A way to ask ClickHouse. Raises HistoryError."""
        from stream import history

        # What it logs is said again, better, by the error that it raises.
        logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
        with history.connect(self.clickhouse) as client:

            def run(query: Query) -> list[Mapping[str, Any]]:
                return list(client.query(query.sql, parameters=dict(query.parameters)).named_results())

            yield run


def signer(role: str, key: Any = None) -> Signer:
    """The key of this role, that of a local stack where there is no other. Raises KeyFileError."""
    from stream.keys import Signer

    return Signer.load(key, role=role, local=True)


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
