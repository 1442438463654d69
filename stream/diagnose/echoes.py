"""Transitions as events: what rules on diagnosis look at."""

from __future__ import annotations

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.plans import DIAGNOSIS
from stream.diagnose.runs import Emitter, Run
from stream.events import Event, Resource, Value


def echo_of(run: Run, made: Diagnosis, time_ns: int) -> tuple[Emitter, Event]:
    """Who says it, and the event: the evidence's values under their names, and the diagnosis's own texts."""
    where = (made.rank, made.node, made.role)
    voice = run.voices.get(where)
    if voice is None:
        resource = Resource(made.run, attempt=made.attempt, rank=made.rank, node=made.node, role=made.role)
        voice = run.voices[where] = Emitter(f"{DIAGNOSIS}/{made.rank}/{made.node}/{made.role}", resource)
    return voice, Event(DIAGNOSIS, time_ns, step=made.step, epoch=made.epoch, values=_values(made))


def _values(made: Diagnosis) -> dict[str, Value]:
    values: dict[str, Value] = dict(made.evidence)
    values.update(
        rule=made.rule, category=made.category, severity=made.severity, state=made.state, summary=made.summary
    )
    if made.node is not None:
        values["node"] = made.node
    return values
