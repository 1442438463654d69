"""Events grouped by run, each group with the resources its events point to."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream import events


@dataclass(frozen=True)
class RunEvents:
    """The events of one run in one request, in the order of its records; ``run`` is "" without a run id."""

    run: str
    resources: list[events.Resource] = field(default_factory=list)
    events: list[events.Event] = field(default_factory=list)


class Grouping:
    """Collects the events of one request by run."""

    def __init__(self) -> None:
        self._runs: dict[str, RunEvents] = {}

    def place(self, resource: events.Resource) -> tuple[list[events.Event], int]:
        """Where to append events of this resource, and the index they carry for it."""
        group = self._runs.get(resource.run)
        if group is None:
            group = self._runs[resource.run] = RunEvents(resource.run)
        # Equal resources are one object (resources.sender remembers), and a request has few.
        for index, known in enumerate(group.resources):
            if known is resource:
                return group.events, index
        group.resources.append(resource)
        return group.events, len(group.resources) - 1

    def result(self) -> list[RunEvents]:
        """One group for each run that has events."""
        return [group for group in self._runs.values() if group.events]
