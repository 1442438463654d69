"""Stands in for the arbiter in tests of those who wait for its answer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from emitter.vocabulary import topics
from stream.ledger.topics import Feed
from tests.stream.ledger.keeping import keep
from tests.stream.ledger.records import Case, awrite


def answering(kafka: str, case: Case, decision: str, history: str | None = None) -> threading.Thread:
    """Listens; answers the first word about the case with this decision, on the topic and in a history."""
    ready = threading.Event()

    async def listen() -> None:
        heard: list[dict[str, Any]] = []

        def seen(kind: str, data: dict[str, Any]) -> None:
            if data.get("command") == case.command_id:
                heard.append(data)

        async with Feed(kafka, (topics.REMEDIATION_CONTROL,), past=False) as feed:
            ready.set()
            while not heard:
                await feed.more(seen)
        answer = case.decision(decision, author=heard[0]["author"], reason=heard[0].get("reason"))
        if history is not None:
            keep(history, [answer])
        await awrite(kafka, [answer])

    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    assert ready.wait(60)
    return thread
