"""The checks for faults that end the process: found from outside, and started again without a person."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary import events
from emitter.vocabulary.diagnoses import FIRING
from stream.demo import checks as usual
from stream.demo.checks import Check, Evidence, Rule
from stream.demo.facts import Checkpoint, Facts
from stream.demo.fault import MAY_BE_SILENT, Fault
from stream.demo.story import Step, mean_loss

HANGING_FRAME: Final = "pthread_mutex_lock"
"""What the example calls in C when it hangs."""


def checks(fault: Fault) -> tuple[Rule, ...]:
    """In the order of the loop."""
    hanging = (stalled, stacks_taken) if fault.cause == "hung" else ()
    return (
        usual.loss_fell, *hanging, classified, no_wrong_rule, resumed, usual.no_command, went_on,
        loss_continued, usual.trainer_ended_well, stored_once, usual.history_complete,
    )  # fmt: skip


def stalled(evidence: Evidence) -> Check:
    words = evidence.facts.said(events.STALLED)
    seen = words[0].values.get(events.SUPERVISOR_REASON, "") if words else "nothing was said"
    return Check("the hang was found from outside", bool(words), seen)


def stacks_taken(evidence: Evidence) -> Check:
    stacks = [word for word in evidence.facts.words if word.state is None and word.role == "supervisor"]
    right = [word for word in stacks if HANGING_FRAME in word.body and "holds the GIL" in word.body]
    groups = [word.values.get(events.STACK_GROUPS, "") for word in evidence.facts.said(events.DUMPED)]
    return Check("its stacks were taken from outside", bool(right), "; ".join(groups[:1]) or "none")


def classified(evidence: Evidence) -> Check:
    ends = evidence.facts.said(events.EXITED)
    causes = [word.values.get(events.EXIT_CAUSE) for word in ends]
    reason = ends[0].values.get(events.SUPERVISOR_REASON, "") if ends else ""
    wanted = [evidence.story.fault.cause, "finished"]
    return Check("the end was recognised", causes == wanted, f"{', '.join(map(str, causes))}; {reason}")


def no_wrong_rule(evidence: Evidence) -> Check:
    fault = evidence.story.fault
    firing = sorted({d.rule for _, d in evidence.story.diagnoses if d.state == FIRING})
    wrong = [rule for rule in firing if rule not in fault.rules]
    ok = not wrong and bool(firing or fault.kind in MAY_BE_SILENT)
    return Check("no rule fired that had no reason to", ok, ", ".join(firing) or "none fired")


def resumed(evidence: Evidence) -> Check:
    name = "started again from the newest verified checkpoint"
    starts, again = evidence.facts.said(events.LAUNCHED), second(evidence.facts)
    ways = ways_back(evidence.facts)
    if len(starts) != 2 or not again or not ways:
        return Check(name, False, f"{len(starts)} starts, {len(again)} steps after, {len(ways)} checkpoints")
    newest = max(ways, key=lambda one: one.ended_ns)
    path, rejoined = (
        starts[1].values.get(events.SUPERVISOR_RESUME),
        evidence.facts.said(events.RESUMED, "trainer"),
    )
    ok = path == newest.path and again[0].step == newest.step and [word.attempt for word in rejoined] == [1]
    return Check(name, ok, f"attempt 1 from step {again[0].step}, {path}")


def went_on(evidence: Evidence) -> Check:
    last, steps = evidence.ending.last_step, {step.step for step in evidence.facts.steps}
    again = second(evidence.facts)
    ok = bool(again) and again[-1].step == last and steps == set(range(last + 1))
    return Check(
        "training went on to the end", ok, f"{len(steps)} steps, the last one {max(steps, default=None)}"
    )


def loss_continued(evidence: Evidence) -> Check:
    before, final = mean_loss(evidence.before), mean_loss(second(evidence.facts))
    return Check("the loss went on falling", final < before, f"{before:.3f} before, {final:.3f} at the end")


def stored_once(evidence: Evidence) -> Check:
    rows, distinct = evidence.facts.step_rows, len(evidence.facts.steps)
    return Check(
        "every step is in the history once", rows == distinct, f"{rows} rows, {distinct} sequence numbers"
    )


def ways_back(facts: Facts) -> list[Checkpoint]:
    """The verified checkpoints of the first attempt."""
    starts = facts.said(events.LAUNCHED)
    until = starts[1].time_ns if len(starts) > 1 else 0
    return [
        one for one in facts.checkpoints if one.kind == "regular" and one.verified and one.ended_ns < until
    ]


def second(facts: Facts) -> list[Step]:
    """The steps of the second attempt."""
    starts = facts.said(events.LAUNCHED)
    return [step for step in facts.steps if len(starts) > 1 and step.time_ns > starts[1].time_ns]


def timeline(facts: Facts) -> dict[str, float]:
    """Seconds from the last step before the fault to each thing that followed."""
    starts, again = facts.said(events.LAUNCHED), second(facts)
    first = [step for step in facts.steps if len(starts) > 1 and step.time_ns < starts[1].time_ns]
    if not first:
        return {}
    began_ns, hops = first[-1].time_ns, {}
    for state, what in _HOPS:
        times = [word.time_ns for word in facts.said(state) if word.time_ns > began_ns]
        if times:
            hops[what] = times[0]
    if again:
        hops["first step again"] = again[0].time_ns
    return {what: round((time_ns - began_ns) / 1e9, 3) for what, time_ns in hops.items()}


_HOPS: Final = (
    (events.STALLED, "found"), (events.DUMPED, "stacks taken"), (events.EXITED, "ended"),
    (events.LAUNCHED, "started again"),
)  # fmt: skip
