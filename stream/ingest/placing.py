"""What a node says without a run id, for the runs that are on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from stream.events import Resource
from stream.otlp.runs import RunEvents
from stream.placements import Placed

Hosts = Mapping[str, Mapping[str, Placed]]
"""The runs on each host, by run id."""
NOWHERE: Final[Hosts] = {}


def copies(group: RunEvents, hosts: Hosts) -> list[RunEvents]:
    """The events of a group without a run, once for each run on the nodes that sent them, in order."""
    found: dict[str, RunEvents] = {}
    for number, resource in enumerate(group.resources):
        events = [event for event in group.events if event.resource == number]
        for placed in _on(resource, hosts):
            copy = found.setdefault(placed.run, RunEvents(placed.run))
            index = len(copy.resources)
            copy.resources.append(_of(resource, placed))
            copy.events.extend(msgspec.structs.replace(event, resource=index) for event in events)
    return [found[run] for run in sorted(found)]


def joined(own: RunEvents, copy: RunEvents) -> RunEvents:
    """Both as one group: first what the run sent itself."""
    first = len(own.resources)
    moved = [msgspec.structs.replace(event, resource=event.resource + first) for event in copy.events]
    return RunEvents(own.run, [*own.resources, *copy.resources], [*own.events, *moved])


def _on(resource: Resource, hosts: Hosts) -> Iterable[Placed]:
    return hosts.get(resource.node, {}).values() if resource.node is not None else ()


def _of(resource: Resource, placed: Placed) -> Resource:
    return msgspec.structs.replace(resource, run=placed.run, run_name=placed.run_name, attempt=placed.attempt)
