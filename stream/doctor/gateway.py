"""Looks at the endpoint that emitters send to, and at its clock."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from typing import Any, Final

from emitter.vocabulary.commands import CLOCK_SKEW_S
from stream.doctor.finding import Finding, error, ok, skipped, warning
from stream.doctor.history import SKEW_S

CHECK: Final = "gateway"
_TIMEOUT_S: Final = 10.0
_EXPORT: Final = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def look(url: str) -> Finding:
    """Whether it is ready to take records; a Collector in its place has no such page, and is not judged."""
    if url.startswith(("grpc://", "grpcs://")):
        return _call(url)
    if not url.startswith(("http://", "https://")):
        return skipped(CHECK, f"{url} is not asked: only http(s) and grpc(s) endpoints can be")
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/readyz", timeout=_TIMEOUT_S) as answer:
            return _ready(url, answer.headers, json.load(answer))
    except urllib.error.HTTPError as refused:
        return _refused(url, refused)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        return error(CHECK, f"{url} does not answer: {reason}", "start it: `trainwarden gateway`")


def _call(url: str) -> Finding:
    """An export without records; who asks for a token answers too."""
    import grpc

    scheme, _, place = url.partition("://")
    credentials = grpc.ssl_channel_credentials()
    open_ = grpc.secure_channel(place, credentials) if scheme == "grpcs" else grpc.insecure_channel(place)
    with open_ as channel:
        try:
            channel.unary_unary(_EXPORT)(b"", timeout=_TIMEOUT_S)
        except grpc.RpcError as refused:
            code, said = refused.code(), refused.details()
            if code is not grpc.StatusCode.UNAUTHENTICATED:
                cure = "see the log of what listens there; `trainwarden gateway` takes gRPC on port 4317"
                return error(CHECK, f"{url} takes no gRPC: {code.name}: {said}", cure)
    return ok(CHECK, f"{url} takes gRPC")


def _refused(url: str, refused: urllib.error.HTTPError) -> Finding:
    if refused.code == 404:
        return ok(CHECK, f"{url} answers, but is no gateway of ours (a Collector?)")
    try:
        problem = json.load(refused)["problem"]
    except (ValueError, KeyError, TypeError):
        problem = f"{refused.code} {refused.reason}"
    return error(
        CHECK,
        f"{url} is not ready: {problem}",
        "mend the broker behind it; emitters keep their records meanwhile",
    )


def _ready(url: str, headers: Any, page: Any) -> Finding:
    date = headers.get("Date")
    skew = parsedate_to_datetime(date).timestamp() - time.time() if date else 0.0
    if abs(skew) <= SKEW_S:
        return ok(CHECK, f"{url} is ready")
    said = f"{url} is ready, but its clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    judge = error if abs(skew) > CLOCK_SKEW_S else warning
    return judge(CHECK, said, f"set it (chrony, NTP); commands are refused beyond {CLOCK_SKEW_S:g} s")
