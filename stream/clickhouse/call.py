"""What a client asked for, read from URL parameters and headers."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stream.clickhouse.errors import ClickHouseError

# Parameters that steer this HTTP interface; every other one is a setting for the engine.
_OURS: Final = frozenset(
    {"query", "database", "default_format", "query_id", "user", "password", "quota_key", "role"}
    | {"session_id", "session_timeout", "session_check", "close_session", "compress", "decompress"}
    | {"wait_end_of_query", "buffer_size", "stacktrace", "client_protocol_version", "enable_http_compression"}
    | {
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "add_http_cors_header",
        "log_comment",
    }
)
_NOT_SERVED: Final = {
    "compress": "use Accept-Encoding with enable_http_compression=1",
    "decompress": "use Content-Encoding",
}
# Names chDB understands as Python objects instead of bytes.
_NOT_BYTES: Final = frozenset({"dataframe", "datastore", "arrowtable", "debug"})


@dataclass(frozen=True)
class Call:
    """One request, without its body. `parameters` are the query's, without ``param_``.

    `revision` of the protocol is what the client wants Native answers in, 0 where it does not say.
    """

    query: str
    query_id: str
    database: str
    default_format: str
    parameters: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    read_only: bool = False
    compressed: bool = True
    whole: bool = False
    session: str = ""
    session_timeout_s: float = 60.0
    session_check: bool = False
    close_session: bool = False
    revision: int = 0


def read(
    fields: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    read_only: bool,
    query_id: str = "",
    aside: Container[str] = (),
) -> Call:
    """Read fields of the URL or a form (the later wins) and headers; `aside` names fields to leave out.
    `query_id` is the one to take where the fields name none.

    ClickHouseError for what is not served.
    """
    ours: dict[str, str] = {}
    settings: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for name, value in fields:
        if name.startswith("param_"):
            parameters[name.removeprefix("param_")] = value
        elif name in _OURS:
            ours[name] = value
        elif name not in aside:
            settings[name] = value
    _refuse_native_blocks(ours)
    return Call(
        query=ours.get("query", ""),
        query_id=ours.get("query_id") or query_id or str(uuid.uuid4()),
        database=ours.get("database") or headers.get("X-ClickHouse-Database", ""),
        default_format=_format(
            ours.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated"
        ),
        parameters=parameters,
        settings=settings,
        read_only=read_only,
        compressed=ours.get("enable_http_compression", "1") not in ("0", "false"),
        whole=ours.get("wait_end_of_query", "0") in ("1", "true"),
        session=ours.get("session_id", ""),
        session_timeout_s=_seconds(ours.get("session_timeout", "60")),
        session_check=ours.get("session_check", "0") == "1",
        close_session=ours.get("close_session", "0") == "1",
        revision=_revision(ours.get("client_protocol_version", "0")),
    )


def _refuse_native_blocks(ours: Mapping[str, str]) -> None:
    for name, instead in _NOT_SERVED.items():
        if ours.get(name, "0") not in ("0", "false", ""):
            raise ClickHouseError(
                48, f"The parameter {name}={ours[name]} is not served by the embedded endpoint; {instead}"
            )


def _format(name: str | None) -> str:
    if not name:
        return "TabSeparated"
    if name.lower() in _NOT_BYTES or not name.isalnum():
        raise ClickHouseError(73, f"Unknown format {name}")
    return name


def _is_whole(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def _revision(text: str) -> int:
    if not _is_whole(text):
        raise ClickHouseError(27, f"Invalid client_protocol_version {text!r}: expected a whole number")
    return int(text)


def _seconds(text: str) -> float:
    if not _is_whole(text) or not 0 < int(text) <= 3600:
        raise ClickHouseError(374, f"Invalid session timeout {text!r}: expected whole seconds from 1 to 3600")
    return float(text)
