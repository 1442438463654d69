"""The agent of diagnose: ``train.events`` in, transitions of diagnoses out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from emitter.vocabulary import topics
from stream.diagnose.inbox import Inbox
from stream.diagnose.keeper import Keeper
from stream.diagnose.recovery import Recovery
from stream.diagnose.watched import watch
from stream.faustkit.app import on_assigned, raw_topic
from stream.faustkit.consume import Before, Duty, Host
from stream.records import Incoming
from stream.rulelang.model import RuleSet
from stream.snapshots.shelf import Shelf

STAGE: Final = "diagnose"


def attach(
    app: Any, host: Host, rules: RuleSet, bundle: bytes, shelf: Shelf, beside: Sequence[Duty] = ()
) -> None:
    """Add the agent of this stage to a Faust app, and the task that keeps its snapshots on this shelf.

    ``beside``: what other stages do with the same records. Faust's handing over costs as much as they do.
    """
    inbox = Inbox(rules, bundle)
    event, began = watch(inbox, host.board, STAGE)
    before = _catch_up(inbox, Recovery(host.outlet.kafka, shelf, inbox), began)
    keeper = Keeper(inbox, shelf, lambda: host.flushed(event))

    async def agent(stream: Any) -> None:
        await host.consume(stream, Duty(STAGE, event, before), *beside)

    app.agent(raw_topic(app, topics.TRAIN_EVENTS), name=f"{STAGE}.{topics.TRAIN_EVENTS}")(agent)
    app.task(keeper.run)
    on_assigned(app, topics.TRAIN_EVENTS, inbox.keep)


def _catch_up(inbox: Inbox, recovery: Recovery, began: Callable[[int], None]) -> Before:
    """Before the first record of a partition, and after a gap, the engine learns what came before."""

    async def before(record: Incoming) -> bool:
        if inbox.missing(record) is not None:
            inbox.begin(record.partition, await recovery.recover(record))
            began(record.partition)
        return True

    return before
