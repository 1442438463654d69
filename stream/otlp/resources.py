"""Who sent: an OTLP resource as an ``events.Resource``, and the names its metrics go by."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import Final

from opentelemetry.proto.resource.v1 import resource_pb2

from emitter.vocabulary import attributes, metrics
from stream import events
from stream.otlp import anyvalue
from stream.otlp.layout import Layouts

_log = logging.getLogger(__name__)

_REMEMBERED_SENDERS: Final = 4096
_LONGEST_REMEMBERED: Final = 32 * 1024
_REMEMBERED_NAMES: Final = 128


class Sender:
    """A resource, with what was learnt from its records: canonical names, and where their numbers lie."""

    def __init__(self, resource: events.Resource, aliases: dict[str, str]) -> None:
        self.resource = resource
        self.layouts = Layouts(self.canonical)
        self._aliases = aliases
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def canonical(self, values: dict[str, events.Value]) -> dict[str, events.Value]:
        """As ``metrics.canonical_values`` with the sender's aliases."""
        logged = tuple(values)
        names = self._names.get(logged)
        if names is None:
            # One canonical name comes out for each name that goes in, in the same order.
            names = tuple(metrics.canonical_values(values, self._aliases))
            if len(self._names) < _REMEMBERED_NAMES:
                self._names[logged] = names
        return dict(zip(names, values.values(), strict=True))


def sender(resource: resource_pb2.Resource, gateway: str | None) -> Sender:
    """The sender of these resource attributes; the same object for the same attributes, if they are short."""
    serialized = resource.SerializeToString(deterministic=True)
    remembered = len(serialized) <= _LONGEST_REMEMBERED
    return _sender(serialized, gateway) if remembered else _sender.__wrapped__(serialized, gateway)


@lru_cache(maxsize=_REMEMBERED_SENDERS)
def _sender(serialized: bytes, gateway: str | None) -> Sender:
    found = anyvalue.scalars(resource_pb2.Resource.FromString(serialized).attributes)
    return Sender(_typed(found, gateway), _aliases(anyvalue.text(found.get(attributes.ALIASES))))


def _typed(found: dict[str, anyvalue.Scalar], gateway: str | None) -> events.Resource:
    def text(name: str) -> str | None:
        return anyvalue.text(found.get(name)) or None

    def integer(name: str) -> int | None:
        return anyvalue.integer(found.get(name))

    return events.Resource(
        run=text(attributes.RUN_ID) or "",
        run_name=text(attributes.RUN_NAME),
        attempt=integer(attributes.ATTEMPT) or 0,
        rank=integer(attributes.RANK),
        local_rank=integer(attributes.LOCAL_RANK),
        world_size=integer(attributes.WORLD_SIZE),
        node_rank=integer(attributes.NODE_RANK),
        node=text(attributes.HOST_NAME),
        role=text(attributes.ROLE),
        emitter=text(attributes.EMITTER_ID),
        service=text(attributes.SERVICE_NAME),
        pid=integer(attributes.PROCESS_PID),
        gateway=gateway,
        attributes={name: str(anyvalue.text(value)) for name, value in found.items()},
    )


def _aliases(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        _log.warning(
            "resource attribute %s: expected a JSON object of strings, got %.80r; it is ignored",
            attributes.ALIASES, text,
        )  # fmt: skip
        return {}
    return {name: target for name, target in table.items() if isinstance(target, str)}
