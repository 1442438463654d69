"""Runs the protocol against a real store: waits on one connection, short calls on another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

from emitter.agreement import ops
from emitter.agreement.clients import Bounded, Client

T = TypeVar("T")
Local = Mapping[type, Callable[[Any], Any]]
"""What does an operation that needs no store, by its class."""


def drive(
    protocol: Generator[Any, Any, T], local: Local, waits: Client | None, short: Bounded, limit_s: float
) -> T:
    """Do what it asks for until it returns. Raises StoreLostError."""
    try:
        op = next(protocol)
        while True:
            try:
                answer = perform(op, local, waits, short, limit_s)
            except ops.StoreLostError as error:
                op = protocol.throw(error)
            else:
                op = protocol.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def perform(op: Any, local: Local, waits: Client | None, short: Bounded, limit_s: float) -> Any:
    """One operation, and its answer."""
    if type(op) in local:
        return local[type(op)](op)
    if isinstance(op, ops.Put):
        return short.call(lambda client: client.put(op.key, op.value), limit_s)
    if isinstance(op, ops.Swap):
        return short.call(lambda client: client.swap(op.key, op.value), limit_s)
    if isinstance(op, ops.Peek):
        return short.call(lambda client: client.peek(op.keys), limit_s)
    if isinstance(op, ops.Drop):
        return short.call(lambda client: client.drop(op.keys), limit_s)
    assert isinstance(op, ops.Await)
    assert waits is not None
    return waits.wait(op.keys, op.limit_s)
