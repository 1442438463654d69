"""The checks for one slow rank among several: found, named, told to people; nothing is done to the run."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.diagnoses import FIRING, RESOLVED
from stream.demo import checks as usual
from stream.demo.checks import Check, Evidence, Rule
from stream.demo.fault import SLOW_RANK
from stream.demo.story import Story

_RULES: Final = frozenset({"straggler", "straggler-compute"})
_NOTIFIED: Final = "notified"


def checks() -> tuple[Rule, ...]:
    """In the order of the loop."""
    return (
        usual.loss_fell, all_took_part, named, no_wrong_rule, incident_opened, people_told, usual.no_command,
        went_on, resolved, usual.trainer_ended_well, usual.exactly_once, usual.history_complete,
    )  # fmt: skip


def all_took_part(evidence: Evidence) -> Check:
    ranks, wanted = sorted(evidence.facts.ranks), list(range(evidence.story.fault.ranks))
    return Check("all ranks trained", ranks == wanted, f"ranks {', '.join(map(str, ranks))}")


def named(evidence: Evidence) -> Check:
    fault = evidence.story.fault
    found = [d for _, d in evidence.story.diagnoses if d.state == FIRING and d.rule in _RULES]
    late = all((d.step or 0) >= (fault.step or 0) for d in found)
    ok = bool(found) and {d.rank for d in found} == {SLOW_RANK} and late
    seen = "; ".join(f"{d.rule} at step {d.step}: {d.summary}" for d in found)
    return Check("the slow rank was named, and no other", ok, seen or "nothing")


def no_wrong_rule(evidence: Evidence) -> Check:
    firing = sorted({d.rule for _, d in evidence.story.diagnoses if d.state == FIRING})
    wrong = [rule for rule in firing if rule not in evidence.story.fault.rules]
    return Check("no rule fired that had no reason to", not wrong, ", ".join(firing) or "none fired")


def incident_opened(evidence: Evidence) -> Check:
    found = [one for one in evidence.facts.incidents if one["rule"] in _RULES]
    ok = len(found) == 1 and found[0]["summary"].find(f"rank {SLOW_RANK} ") >= 0
    seen = "; ".join(f"{one['state']}: {one['summary']}" for one in evidence.facts.incidents)
    return Check("one incident has it as its cause, with the rank's name", ok, seen or "no incident")


def people_told(evidence: Evidence) -> Check:
    told = [one for one in evidence.facts.decisions if one["decision"] == _NOTIFIED and one["rule"] in _RULES]
    seen = ", ".join(f"{one['decision']} {one['rule']}" for one in evidence.facts.decisions if one["rule"])
    return Check("people were told once, as the rule wants", len(told) == 1, seen or "no decision")


def went_on(evidence: Evidence) -> Check:
    last, steps = evidence.ending.last_step, evidence.facts.steps
    seen = steps[-1].step if steps else None
    return Check("training went on to the end", seen == last, f"to step {seen}")


def resolved(evidence: Evidence) -> Check:
    found = [d for _, d in evidence.story.diagnoses if d.state == RESOLVED and d.rule in _RULES]
    seen = ", ".join(f"{d.rule} of rank {d.rank}" for d in found) or "it fires on"
    return Check("it was over when the rank was as fast as before", bool(found), seen)


def timeline(evidence: Evidence) -> dict[str, float]:
    """Seconds from the last step before the fault to what followed."""
    story: Story = evidence.story
    before = [step for step in evidence.facts.steps if step.step < (story.fault.step or 0)]
    hops: dict[str, int] = {}
    for at_ns, diagnosis in story.diagnoses:
        if diagnosis.rule in _RULES:
            what = "diagnosis" if diagnosis.state == FIRING else "resolved"
            hops.setdefault(what, at_ns)
    for one in evidence.facts.decisions:
        if one["decision"] == _NOTIFIED and one["rule"] in _RULES:
            hops["people told"] = one["at_ns"]
    if not before:
        return {}
    began_ns = before[-1].time_ns
    found = {what: round((at_ns - began_ns) / 1e9, 3) for what, at_ns in hops.items()}
    return dict(sorted(found.items(), key=lambda hop: hop[1]))
