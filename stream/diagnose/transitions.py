"""Diagnoses as the engine makes them: ids, evidence, firing and resolved."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from emitter.vocabulary.cloudevents import rfc3339
from emitter.vocabulary.diagnoses import FIRING, RESOLVED, Diagnosis
from stream.diagnose.series import First
from stream.events import Event, Resource
from stream.rulelang.fields import BEGAN
from stream.rulelang.model import Rule

CLEARED: Final = "cleared"
"""The condition no longer holds."""
QUIET: Final = "quiet"
"""No matching log line for the time of keep_firing."""
RETURNED: Final = "returned"
"""What was absent is back."""
ENDED: Final = "ended"
"""The attempt ended, or the rank did."""
EXPIRED: Final = "expired"
"""The run was idle for so long that it was forgotten."""
RELOADED: Final = "reloaded"
"""The rule was changed or taken away."""

FILE: Final = "log.file.path"
LINE: Final = "log.file.record_number"
"""OpenTelemetry's names for the file and line a record was read from."""


def diagnosis_id(run: str, attempt: int, rule: str, key: tuple[Any, ...], first: First) -> str:
    """The same firing is the same diagnosis, however often it is replayed."""
    parts = (run, attempt, rule, *key, first.seq, first.step, first.time)
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def firing(
    rule: Rule, key: tuple[Any, ...], first: First, event: Event, resource: Resource, evidence: dict[str, Any]
) -> Diagnosis:
    """The diagnosis when it starts to fire, at this event."""
    if first.step is not None:
        began = evidence.get(BEGAN)
        if isinstance(began, float) and 0 <= began < first.step:
            evidence["since_step"] = int(began)
        else:
            evidence["since_step"] = first.step
    return Diagnosis(
        id=diagnosis_id(resource.run, resource.attempt, rule.id, key, first),
        rule=rule.id,
        category=rule.category,
        severity=rule.severity,
        state=FIRING,
        run=resource.run,
        time=rfc3339(event.time),
        summary=rule.summary.render(_shown(rule, event, resource, evidence)),
        attempt=resource.attempt,
        rank=resource.rank if _names(rule, "rank") else None,
        node=resource.node if _names(rule, "node") else None,
        step=event.step,
        epoch=event.epoch,
        role=resource.role if _names(rule, "role") else None,
        **_place(event),
        rule_version=rule.version,
        evidence=evidence,
        suggestions=list(rule.suggestions),
        then=[action.name for action in rule.then],
    )


def resolved(
    open_one: Diagnosis, time_ns: int, reason: str, event: Event | None, values: Mapping[str, Any]
) -> Diagnosis:
    """The same diagnosis, resolved: with the values that ended it where an event did."""
    evidence = {**open_one.evidence, **values, "reason": reason}
    step, epoch = (event.step, event.epoch) if event else (open_one.step, open_one.epoch)
    place = _place(event) if event is not None and LINE in event.values else {}
    return replace(
        open_one, state=RESOLVED, time=rfc3339(time_ns), step=step, epoch=epoch, evidence=evidence, **place
    )


def _place(event: Event) -> dict[str, Any]:
    """Where the event was read, if it was read from a file."""
    file, line = event.values.get(FILE), event.values.get(LINE)
    return {
        "file": file if isinstance(file, str) else None,
        "line": int(line) if isinstance(line, (int, float)) else None,
    }


def _names(rule: Rule, word: str) -> bool:
    """Whether a diagnosis of this rule is about one such thing: always where it is about one rank."""
    return "rank" in rule.by or word in rule.by


def _shown(rule: Rule, event: Event, resource: Resource, evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **rule.params, **evidence, "run": resource.run, "run_name": resource.run_name,
        "attempt": resource.attempt, "rank": resource.rank, "node": resource.node, "role": resource.role,
        "step": event.step, "epoch": event.epoch,
    }  # fmt: skip
