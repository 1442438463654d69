"""Reports as pages: the facts, made ready for the templates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

from stream.offline.report.sparkline import sparkline
from stream.report import charts, hints, telling, verdict
from stream.report.charts import Mark
from stream.report.curves import Curve
from stream.report.facts import Action, IncidentFacts, RunFacts
from stream.report.rendering import render
from stream.report.spent import parts_of

HTML, MARKDOWN = "html", "md"
FORMATS: Final = (HTML, MARKDOWN)
_MARKS: Final = 24
_SPARKS: Final = 60
_EVIDENCE: Final = 40
_TEXT: Final = 20_000


def run_page(facts: RunFacts, form: str) -> str:
    """The report of a run."""
    marks, more = _marks_of(facts.incidents)
    bands = [(one.event, _quiet(one) or facts.last_time) for one in facts.incidents]
    return render(
        f"run.{form}.j2", facts=facts, verdict=verdict.of_run(facts), hints=hints.of_run(facts), marks=marks,
        more_marks=more, incidents=[_card(one) for one in facts.incidents],
        charts=charts.charts(facts.curves, marks, facts.started, facts.last_time, bands),
        sparks=_sparks(facts.curves), origin=facts.started, parts_list=parts_of(facts.goodput), **common(),
    )  # fmt: skip


def incident_page(facts: IncidentFacts, form: str) -> str:
    """The report of an incident."""
    marks, more = _marks_of([facts])
    drawn = charts.charts(
        facts.curves, marks, facts.since, facts.until, [(facts.event, _quiet(facts) or facts.until)]
    )
    return render(
        f"incident.{form}.j2", facts=facts, verdict=verdict.of_incident(facts),
        hints=hints.of_incident(facts), marks=marks,
        more_marks=more, card=_card(facts), charts=drawn, sparks=_sparks(facts.curves),
        origin=facts.since, timeline=facts.timeline[: telling.MOST],
        more_entries=max(0, len(facts.timeline) - telling.MOST), **common(),
    )  # fmt: skip


def _quiet(facts: IncidentFacts) -> int | None:
    """When nothing fired any more."""
    ends = [one.ended for one in (facts.cause, *facts.symptoms)]
    return facts.ended if None in ends else max(end for end in ends if end is not None)


def common() -> dict[str, Any]:
    """What every page shows."""
    return {
        "made": time.time_ns(), "version": metadata.version("trainwarden"), "text_limit": _TEXT,
        "facts_of": telling.facts_of, "destination": verdict.destination,
    }  # fmt: skip


def _card(facts: IncidentFacts) -> dict[str, Any]:
    """An incident, as both reports show it."""
    evidence = list(facts.cause.evidence.items())
    return {
        "facts": facts, "verdict": verdict.of_incident(facts), "evidence": evidence[:_EVIDENCE],
        "more_evidence": max(0, len(evidence) - _EVIDENCE), "actions": facts.actions[:_EVIDENCE],
        "more_actions": max(0, len(facts.actions) - _EVIDENCE),
    }  # fmt: skip


def _marks_of(incidents: Sequence[IncidentFacts]) -> tuple[list[Mark], int]:
    """Diagnoses and commands, numbered in the order of time; how many there are beyond those."""
    found = [mark for one in incidents for mark in _marks(one)]
    found.sort(key=lambda mark: mark.at)
    numbered = [
        Mark(mark.at, str(number), mark.kind, mark.severity, mark.text, mark.step)
        for number, mark in enumerate(found[:_MARKS], 1)
    ]
    return numbered, max(0, len(found) - _MARKS)


def _marks(facts: IncidentFacts) -> list[Mark]:
    members = [
        Mark(one.began, "", "diagnosis", one.severity, f"{one.rule}: {one.summary}", one.step)
        for one in (facts.cause, *facts.symptoms)
    ]
    return members + [
        Mark(one.issued, "", "command", "", _commanded(one))
        for one in facts.actions
        if one.issued is not None
    ]


def _commanded(action: Action) -> str:
    return f"{action.action}{verdict.destination(action)}: {action.outcome or action.state}"


def _sparks(curves: Sequence[Curve]) -> list[tuple[Curve, str]]:
    """The curves as lines of blocks, where nothing can be drawn."""
    return [(curve, _spark(curve)) for curve in curves]


def _spark(curve: Curve) -> str:
    points = sorted(
        [(point.at, point.value) for point in curve.points] + [(at, float("nan")) for at in curve.bad]
    )
    if not points:
        return ""
    size = max(1, -(-len(points) // _SPARKS))
    groups = [points[place : place + size] for place in range(0, len(points), size)]
    return sparkline([max((value for _, value in group), key=_odd) for group in groups], -1)


def _odd(value: float) -> float:
    """What is not finite comes before all that is."""
    return float("inf") if value != value else value
