"""All looks, in the order in which one trouble explains the next."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stream import history
from stream.doctor import gateway, kafka, keys, parts, sleeping, timeouts
from stream.doctor import history as of_history
from stream.doctor.finding import Finding, skipped
from stream.rulelang.model import RuleSet


@dataclass(frozen=True)
class Places:
    """What is known of an installation; None where nothing is. ``stack``: the local one that runs."""

    kafka: str | None
    clickhouse: str | None
    endpoint: str | None
    stack: dict[str, Any] | None = None

    @property
    def grpc(self) -> str | None:
        """Where the local stack takes gRPC, if that is whose endpoint is asked."""
        known = (self.stack or {}).get("endpoints", {})
        return known.get("otlp_grpc") if self.endpoint == known.get("otlp_http") else None


def examine(places: Places, rules: RuleSet, since_s: float) -> Iterator[Finding]:
    """One finding after the other, as they come; nothing is changed."""
    yield from timeouts.look(rules, os.environ)
    yield from keys.look(places.stack)
    yield from parts.look(places.stack or {})
    if places.kafka:
        yield from asyncio.run(kafka.look(places.kafka))
    else:
        yield skipped(
            kafka.BROKER, "no Kafka is known", "--kafka HOST:PORT, TRAINWARDEN_KAFKA, or `trainwarden up`"
        )
    if places.endpoint:
        yield gateway.look(places.endpoint)
        if places.grpc:
            yield gateway.look(places.grpc)
    else:
        yield skipped(gateway.CHECK, "no endpoint is known", "TRAINWARDEN_ENDPOINT, or `trainwarden up`")
    if not places.clickhouse:
        cure = "--clickhouse http://HOST:PORT, TRAINWARDEN_CLICKHOUSE, or `trainwarden up`"
        yield skipped(of_history.HISTORY, "no ClickHouse is known", cure)
        return
    found = of_history.look(places.clickhouse, since_s)
    yield from found
    if any(one.check == of_history.REFUSALS for one in found):
        with history.connect(places.clickhouse) as client:
            yield sleeping.look(client, rules, since_s)
