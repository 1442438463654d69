"""When time alone may change something in a run: until then a tick need not look at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stream.remediate.incidents import Incident
from stream.remediate.runs import Run
from stream.remediate.settings import Settings
from stream.remediate.state import FORGET_SILENT_S
from stream.remediate.steps import Step, StepState

NEVER_NS: Final = 1 << 62


def wakes_ns(settings: Settings, run: Run, now_ns: int) -> int:
    """The next time after now at which a limit passes; asked after all that is due now was done."""
    return min((at for at in _limits(settings, run) if at > now_ns), default=NEVER_NS)


def _limits(settings: Settings, run: Run) -> Iterator[int]:
    yield run.last_ns + _ns(FORGET_SILENT_S) + 1
    if run.over_ns is not None and not run.gone:
        yield run.over_ns + _ns(settings.restart_s)
    for incident in run.incidents:
        yield from _limits_of(settings, incident)
        for step in incident.steps:
            yield from _limits_of_step(settings, step)


def _limits_of(settings: Settings, incident: Incident) -> Iterator[int]:
    if incident.quiet_ns is not None:
        yield incident.quiet_ns + _ns(settings.settle_s)
    acted = max((step.sent_ns for step in incident.steps if step.times_sent), default=None)
    if acted is not None:
        yield acted + _ns(settings.escalate_s)


def _limits_of_step(settings: Settings, step: Step) -> Iterator[int]:
    if step.state is StepState.PLANNED:
        yield step.due_ns
    elif step.state is StepState.SENT:
        yield step.expires_ns
        yield step.sent_ns + _ns(settings.answer_s)
        if step.begun_ns is not None:
            yield step.begun_ns + _ns(settings.finish_s)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
