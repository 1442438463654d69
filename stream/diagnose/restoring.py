"""Restoring: the runs of a snapshot under the rules in force now.

Rules that did not change go on where they were; of the others everything is forgotten, and what they had
said resolves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.listening import Listening
from stream.diagnose.meeting import Meeting
from stream.diagnose.meeting_saved import Symptoms, load_meeting
from stream.diagnose.plans import Plans
from stream.diagnose.runs import Emitter, Run, new_series
from stream.diagnose.saved import load_diagnosis, load_key, load_resource

Retire = Callable[[Run, Diagnosis], None]


class Restorer:
    """``versions`` are those of the snapshot's rules; ``retire`` is told of open diagnoses that are gone."""

    def __init__(
        self, plans: Plans, listening: Listening, meet: Callable[[], Meeting], versions: Mapping[str, str],
        retire: Retire,
    ) -> None:  # fmt: skip
        self._plans = {
            rule: plan for rule, plan in plans.by_id.items() if versions.get(rule) == plan.rule.version
        }
        self._absences = {
            rule: pair for rule, pair in listening.rules.items() if versions.get(rule) == pair[0].version
        }
        self._listening = listening
        self._meet = meet
        self._retire = retire

    def run(self, saved: Mapping[str, Any]) -> Run:
        """A run as it was."""
        run = Run(saved["id"], saved["attempt"], self._meet)
        run.seen = saved["seen"]
        run.positions = {(topic, partition): last for topic, partition, last in saved["positions"]}
        run.emitters = {one[0]: _emitter(one) for one in saved["emitters"]}
        run.holding = {key: run.emitters[key] for key in saved["holding"]}
        gone = self._series(run, saved)
        gone += self._listeners(run, saved)
        gone += self._meeting(run, saved["meeting"])
        for diagnosis in gone:
            self._retire(run, diagnosis)
        return run

    def _meeting(self, run: Run, saved: Mapping[str, Any]) -> list[Diagnosis]:
        rules = {rule: plan.rule for rule, plan in self._plans.items()}
        rules.update((rule, pair[0]) for rule, pair in self._absences.items())
        symptoms: Symptoms = {**run.open, **run.listeners}
        fresh = run.meeting
        run.meeting, gone = load_meeting(saved, fresh.crossings, fresh.watermark.lateness_ns, rules, symptoms)
        return gone

    def _series(self, run: Run, saved: Mapping[str, Any]) -> list[Diagnosis]:
        for rule, index, shared, window in saved["feeds"]:
            plan = self._plans.get(rule)
            for feeder in plan.feeders if plan is not None else ():
                if plan is not None and feeder.index == index:
                    run.feed_at(plan, feeder, load_key(shared)).window.load(window)
        gone: list[Diagnosis] = []
        for one in saved["series"]:
            plan, key = self._plans.get(one[0]), load_key(one[1])
            if plan is not None:
                run.series[plan.rule.id, key] = series = new_series(run, plan, key)
                series.load(one)
            else:
                gone += _said(one[6])
        for rule, saved_key in saved["open"]:
            key = load_key(saved_key)
            if (rule, key) in run.series:
                run.open[rule, key] = run.series[rule, key]
        return gone

    def _listeners(self, run: Run, saved: Mapping[str, Any]) -> list[Diagnosis]:
        gone: list[Diagnosis] = []
        for one in saved["listeners"]:
            if one[0] in self._absences:
                self._listening.resume(run, *self._absences[one[0]], one)
            else:
                gone += _said(one[6])
        return gone


def _said(saved: dict[str, Any] | None) -> list[Diagnosis]:
    diagnosis = load_diagnosis(saved)
    return [] if diagnosis is None else [diagnosis]


def _emitter(saved: Sequence[Any]) -> Emitter:
    key, resource, order, live = saved
    emitter = Emitter(key, load_resource(resource))
    emitter.order.load(order)
    emitter.live = live
    return emitter
