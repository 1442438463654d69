"""Settings of the schema: how long each kind of table keeps its rows, and the cluster it lives on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from stream.history.errors import SettingError

ENV_RETENTION: Final = "TRAINWARDEN_RETENTION"
"""Days per kind of table, ``logs=30,raw=90``; 0 keeps for ever; kinds left out keep their default."""
ENV_CLUSTER: Final = "TRAINWARDEN_CLICKHOUSE_CLUSTER"
"""Name of the ClickHouse cluster (as in system.clusters); not set on a single server."""

DEFAULT_DAYS: Final[Mapping[str, int]] = MappingProxyType(
    {"logs": 90, "raw": 400, "rollups_10s": 400, "rollups": 0, "decisions": 0, "sink": 7}
)
"""``logs``: otel_*; ``raw``: numbers as they came; ``rollups_10s``: by ten seconds; ``rollups``: by the
minute; ``decisions``: diagnoses, commands, acks;
``sink``: which Kafka records were stored, longer than Kafka keeps ``otlp_*``."""


@dataclass(frozen=True)
class SchemaSettings:
    """``days`` maps a kind of table to the days its rows are kept (0: for ever)."""

    cluster: str | None = None
    days: Mapping[str, int] = field(default_factory=lambda: DEFAULT_DAYS)


def parse_retention(text: str) -> dict[str, int]:
    """``logs=30,raw=90`` over the defaults. Raises SettingError."""
    days = dict(DEFAULT_DAYS)
    for item in filter(None, (part.strip() for part in text.split(","))):
        kind, _, number = (part.strip() for part in item.partition("="))
        if kind not in days or not number.isdecimal():
            raise SettingError(
                f"{ENV_RETENTION}: expected KIND=DAYS with a kind out of {', '.join(sorted(days))} "
                f"and whole days (0 keeps for ever), got {item!r}"
            )
        days[kind] = int(number)
    return days


def from_environment(environment: Mapping[str, str] = os.environ) -> SchemaSettings:
    """The settings from TRAINWARDEN_RETENTION and TRAINWARDEN_CLICKHOUSE_CLUSTER. Raises SettingError."""
    cluster = environment.get(ENV_CLUSTER) or None
    if cluster is not None and not re.fullmatch(r"[\w.-]+", cluster):
        raise SettingError(
            f"{ENV_CLUSTER}: expected a name of letters, digits, '_', '.' and '-', got {cluster!r}"
        )
    return SchemaSettings(cluster=cluster, days=parse_retention(environment.get(ENV_RETENTION, "")))
