"""What the gateway answers when it does not take a request: ``google.rpc.Status`` in the request's encoding.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response (failures, retryable codes).

    GatewayError            the gateway cannot start
    RefusedError            a request is not taken
      MalformedError 400    UnauthorizedError 401    TooSlowError 408    TooLargeError 413
      UnsupportedError 415
      BusyError 503         too much is under way      nothing is wrong with the request: it may come again,
      UnavailableError 503  Kafka cannot be written    after the seconds that the answer names

429 is for the same, but OpenTelemetry's Python SDK throws away what was answered so (seen in 1.40).
"""

from __future__ import annotations

import json

from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class GatewayError(RuntimeError):
    """The gateway cannot start; the message says why and what helps."""


class RefusedError(Exception):
    """A request that is not taken: HTTP status, gRPC code and one clear message."""

    status = 500
    code = Code.INTERNAL
    retry_after_s: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MalformedError(RefusedError):
    """The body is not what the headers say, or not OTLP."""

    status = 400
    code = Code.INVALID_ARGUMENT


class UnauthorizedError(RefusedError):
    """The request lacks the token that it needs."""

    status = 401
    code = Code.UNAUTHENTICATED


class TooSlowError(RefusedError):
    """The body did not come in time."""

    status = 408
    code = Code.DEADLINE_EXCEEDED


class TooLargeError(RefusedError):
    """The body is above the limit, as it came or once decompressed."""

    status = 413
    code = Code.RESOURCE_EXHAUSTED


class UnsupportedError(RefusedError):
    """A content type or encoding that OTLP/HTTP does not have."""

    status = 415
    code = Code.INVALID_ARGUMENT


class UnavailableError(RefusedError):
    """Nothing is wrong with the request: the same one can be sent again."""

    status = 503
    code = Code.UNAVAILABLE
    retry_after_s = 1


class BusyError(RefusedError):
    """As much is under way as the gateway may hold: the same request can be sent again."""

    status = 503
    code = Code.RESOURCE_EXHAUSTED
    retry_after_s = 1


def details(refusal: RefusedError) -> bytes:
    """A ``google.rpc.Status`` for ``grpc-status-details-bin``; with RetryInfo where it may come again."""
    status = Status(code=refusal.code, message=refusal.message)
    if refusal.retry_after_s is not None:
        wait = Duration(seconds=refusal.retry_after_s)
        status.details.add().Pack(RetryInfo(retry_delay=wait))
    return bytes(status.SerializeToString())


def status_body(code: int, message: str, content_type: str) -> bytes:
    """A ``google.rpc.Status`` as protobuf or JSON bytes."""
    if content_type == JSON:
        return json.dumps({"code": code, "message": message}).encode()
    return bytes(Status(code=code, message=message).SerializeToString())


def code_of(status: int) -> int:
    """The gRPC code of a status that the HTTP server itself found (404, 405, ...)."""
    return int({404: Code.NOT_FOUND, 405: Code.UNIMPLEMENTED}.get(status, Code.INVALID_ARGUMENT))
