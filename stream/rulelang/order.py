"""The order in which rules look at one event: causes before the symptoms they inhibit."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from stream.rulelang.model import Rule


def causes_first(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules in rounds: in each, in their order, all whose causes came in rounds before.

    Those in a circle are left out; causes that are not among the rules do not count.
    """
    listed = list(rules)
    place = {rule.id: index for index, rule in enumerate(listed)}
    symptoms: dict[str, list[int]] = {}
    waits: dict[int, int] = {}
    for index, rule in enumerate(listed):
        causes = {cause for cause in rule.inhibited_by if cause in place}
        waits[index] = len(causes)
        for cause in causes:
            symptoms.setdefault(cause, []).append(index)
    ready = [(0, index) for index, count in waits.items() if not count]
    heapq.heapify(ready)
    ordered: list[Rule] = []
    while ready:
        round_, index = heapq.heappop(ready)
        ordered.append(listed[index])
        for symptom in symptoms.get(listed[index].id, ()):
            waits[symptom] -= 1
            if not waits[symptom]:
                heapq.heappush(ready, (round_ + 1, symptom))
    return tuple(ordered)
