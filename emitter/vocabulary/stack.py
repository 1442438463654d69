"""How parts on one machine find each other: environment variables, the data directory, ``stack.json``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

ENV_DATA_DIR: Final = "TRAINWARDEN_DATA_DIR"
ENV_KAFKA: Final = "TRAINWARDEN_KAFKA"
"""host:port[,host:port] of the brokers."""
ENV_CLICKHOUSE: Final = "TRAINWARDEN_CLICKHOUSE"
"""http(s)://[user:password@]host:port[/database] of ClickHouse's HTTP interface."""
ENV_ENDPOINT: Final = "TRAINWARDEN_ENDPOINT"
"""Where emitters send OTLP: http(s)://host:port."""
ENV_COMMANDS: Final = "TRAINWARDEN_COMMANDS"
"""Where emitters read commands: kafka://host:port, or http(s)://host:port of a gateway."""

ENV_GATEWAY_TOKEN: Final = "TRAINWARDEN_GATEWAY_TOKEN"
"""What a gateway asks of those who want commands."""
ENV_OTLP_TOKEN: Final = "TRAINWARDEN_GATEWAY_OTLP_TOKEN"
"""What a gateway asks of those who send OTLP; they send it as ``authorization``."""
ENV_COMMANDS_TOKEN: Final = "TRAINWARDEN_COMMANDS_TOKEN"
"""The same, for the trainer that asks; never an argument, which may be logged."""

STACK_FILE: Final = "stack.json"
TRUSTED_KEYS: Final = "trusted_keys"
OPERATORS: Final = "operators"
SIGNING_KEY: Final = "signing_key"
OPERATOR_KEY: Final = "operator_key"
"""Entries beside the endpoints: files of keys of this stack."""
HEALTH: Final = "health"
"""Entry beside the endpoints: by part, the URL that has /healthz and /readyz."""
ENDPOINTS: Final = ("otlp_http", "otlp_grpc", "kafka", "clickhouse", "viewer")


def data_dir() -> Path:
    """TRAINWARDEN_DATA_DIR, else the user's data directory (XDG) joined with ``trainwarden``."""
    explicit = os.environ.get(ENV_DATA_DIR)
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "trainwarden"


def read_stack(directory: Path | None = None) -> dict[str, Any] | None:
    """The running stack's description, or None where none is ready or its launcher is gone."""
    try:
        stack = json.loads(((directory or data_dir()) / STACK_FILE).read_text())
        if not stack["ready"] or not isinstance(stack["endpoints"], dict):
            return None
        os.kill(int(stack["pids"]["up"]), 0)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return dict(stack)
