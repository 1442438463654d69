"""The agents of remediate: what partitions report goes into one log, and one arbiter decides by it."""

from __future__ import annotations

import logging
from typing import Any, Final

from emitter import signing
from emitter.vocabulary import topics
from stream import steady
from stream.faustkit.app import on_assigned, raw_topic
from stream.faustkit.consume import Before, Duty, Handle, Host
from stream.progress import Place
from stream.records import Incoming
from stream.remediate import reports
from stream.remediate.decisions import Sign
from stream.remediate.holder import Holder
from stream.remediate.rebuild import read_before
from stream.remediate.reporter import Reporter
from stream.remediate.reports import Report
from stream.remediate.settings import Settings
from stream.rulelang.model import RuleSet
from stream.telemetry.board import by
from stream.telemetry.catalogue import ACKS, COMMANDS, DECISIONS

STAGE: Final = "remediate"

log = logging.getLogger(__name__)


def attach(app: Any, host: Host, rules: RuleSet, settings: Settings, sign: Sign | None) -> Duty:
    """Add the agents of this stage to a Faust app. They share state, partition by partition.

    Returns what this stage does with ``train.events``, for whoever reads them.
    """
    operators = signing.TrustedKeys(signing.operators_path())

    def believe(value: bytes, headers: dict[str, bytes]) -> str:
        return signing.verify(value, headers, operators)

    reporter = Reporter(rules, believe, steady.unix_ns)
    _attach_agent(app, host, topics.TRAIN_DIAGNOSES, reporter.diagnosis)
    _attach_agent(app, host, topics.REMEDIATION_ACKS, reporter.ack)
    _attach_agent(app, host, topics.REMEDIATION_CONTROL, reporter.word)
    on_assigned(app, topics.TRAIN_DIAGNOSES, reporter.keep)

    holder = Holder(settings, sign, steady.unix_ns)
    _attach_agent(app, host, topics.REMEDIATION_INTENTS, holder.intent, _catch_up(host.outlet.kafka, holder))
    on_assigned(app, topics.REMEDIATION_INTENTS, holder.keep)

    host.board.read(ACKS, by(reporter.acks))
    host.board.read(DECISIONS, by(holder.decided))
    host.board.read(COMMANDS, by(holder.sent))
    return Duty(STAGE, reporter.event)


async def announce(host: Host, settings: Settings) -> None:
    """Put this worker's policy into the log: from there on it is in force, for every reader of the log."""
    await host.outlet.send([reports.encode(Report(None, steady.unix_ns(), policy=settings))])


def _catch_up(kafka: str, holder: Holder) -> Before:
    """Before the first record of the log, and after a gap, the arbiter learns what came before."""

    async def before(record: Incoming) -> bool:
        place = holder.place(record)
        if place in (Place.AFTER_GAP, Place.NEW_LOG):
            read = await read_before(kafka, record.offset, holder.settings.lookback_s)
            log.info("remediation: %d records of its log read back, going on at %d", len(read), record.offset)
            holder.begin(read, keep_breaker=place is Place.NEW_LOG)
        return place is not Place.REPEATED

    return before


def _attach_agent(app: Any, host: Host, topic: str, handle: Handle, before: Before | None = None) -> None:
    async def agent(stream: Any) -> None:
        await host.consume(stream, Duty(STAGE, handle, before))

    app.agent(raw_topic(app, topic), name=f"{STAGE}.{topic}")(agent)
