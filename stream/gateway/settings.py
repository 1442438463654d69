"""What a gateway is told, and what it counts."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stream.gateway.forward import BEACON_GRACE_S

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_BYTES_UNDER_WAY: Final = 128 * 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """Where to listen and write, and the limits. Without ``grpc_port``, there is no OTLP over gRPC."""

    kafka: str
    host: str = "127.0.0.1"
    port: int = 4318
    grpc_port: int | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    max_bytes_under_way: int = MAX_BYTES_UNDER_WAY
    gateway_id: str | None = None
    beacon_grace_s: float = BEACON_GRACE_S
    token: str | None = field(default=None, repr=False)
    otlp_token: str | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def identity(self) -> str:
        """The gateway's id. By default the same after a restart, so that its beacons go on."""
        return self.gateway_id or f"{socket.gethostname()}:{self.port}"


@dataclass
class Counts:
    """Since the start: requests and records taken, and what was not taken by reason."""

    requests: int = 0
    messages: int = 0
    malformed: int = 0
    refused: int = 0
    unavailable: int = 0
    rejected_records: int = 0
