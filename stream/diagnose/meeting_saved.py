"""A meeting as plain data and back: watermark, lanes, and the symptoms that wait, by their numbers."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.alignment import Alignment
from stream.diagnose.crossings import BOUNDED, STRICT, Crossings
from stream.diagnose.inhibition import Held, Inhibition, Symptom
from stream.diagnose.lane import Lane, Member, Turn
from stream.diagnose.latest import Latest
from stream.diagnose.meeting import Meeting
from stream.diagnose.saved import load_diagnosis, load_event, load_key, save_diagnosis, save_struct
from stream.diagnose.watermark import Watermark
from stream.rulelang.model import Rule

Symptoms = Mapping[tuple[str, tuple[Any, ...]], Symptom]


def save_meeting(meeting: Meeting, symptoms: Iterable[Symptom]) -> dict[str, Any]:
    """Plain data for ``load_meeting``; ``symptoms`` are all series and listeners that may be open."""
    opened = [symptom for symptom in symptoms if symptom.held is not None]
    held: dict[int, Held] = {one.held.number: one.held for one in opened if one.held is not None}
    for lane in meeting.lanes:
        held.update((turn.held.number, turn.held) for turn in lane.turns if turn.held is not None)
        held.update((one.number, one) for one in lane.inhibition.quiet())
    return {
        "watermark": meeting.watermark.save(),
        "alone": meeting.alone,
        "only": meeting.only,
        "quiet_ns": meeting.quiet_ns[STRICT],
        "quiet_bounded_ns": meeting.quiet_ns[BOUNDED],
        "numbers": meeting.numbers,
        "held": [_save_held(held[number]) for number in sorted(held)],
        "opened": [[one.rule.id, list(one.key), one.held.number] for one in opened if one.held is not None],
        "lanes": [_save_lane(lane) for lane in meeting.lanes],
    }


def load_meeting(
    saved: Mapping[str, Any], crossings: Crossings, lateness_ns: int, rules: Mapping[str, Rule],
    symptoms: Symptoms,
) -> tuple[Meeting, list[Diagnosis]]:  # fmt: skip
    """The meeting, and what rules that are not in ``rules`` had said of symptoms that have closed since."""
    meeting = Meeting(crossings, lateness_ns)
    meeting.watermark = Watermark.load(lateness_ns, saved["watermark"])
    meeting.alone, meeting.only = saved["alone"], saved["only"]
    meeting.numbers, quiet_ns = saved["numbers"], saved["quiet_ns"]
    # Snapshots of before have one moment for both lanes.
    meeting.quiet_ns = [quiet_ns, saved.get("quiet_bounded_ns", quiet_ns)]
    open_numbers = {number for _, _, number in saved["opened"]}
    gone = [one[5] for one in saved["held"] if one[1] not in rules and one[6] and one[0] not in open_numbers]
    held = {one[0]: _load_held(one, rules[one[1]]) for one in saved["held"] if one[1] in rules}
    for rule, key, number in saved["opened"]:
        symptom = symptoms.get((rule, load_key(key)))
        if symptom is not None and number in held:
            symptom.held, held[number].symptom = held[number], symptom
    meeting.lanes = tuple(_load_lane(lane, crossings, lateness_ns, rules, held) for lane in saved["lanes"])
    return meeting, [made for made in map(load_diagnosis, gone) if made is not None]


def _save_held(held: Held) -> list[Any]:
    return [
        held.number, held.rule.id, list(held.key), list(held.agreement), save_diagnosis(held.asked),
        save_diagnosis(held.diagnosis), held.said, held.time_ns,
    ]  # fmt: skip


def _load_held(saved: Sequence[Any], rule: Rule) -> Held:
    number, _, key, agreement, asked, diagnosis, said, time_ns = saved
    held = Held(number, rule, load_key(key), tuple(agreement))
    held.asked, held.diagnosis, held.said = load_diagnosis(asked), load_diagnosis(diagnosis), said
    held.time_ns = time_ns
    return held


def _save_lane(lane: Lane) -> dict[str, Any]:
    return {
        "count": lane.count,
        "reached": lane.reached,
        "decided": lane.decided,
        "events": [_save_member(member) for member in sorted(lane.events)],
        "steps": {name: _save_steps(steps) for name, steps in lane.steps.items()},
        "latest": [[*place, latest.save()] for place, latest in lane.latest.items()],
        "leaving": [list(one) for one in lane.leaving],
        "turns": [_save_turn(turn) for turn in sorted(lane.turns)],
        "inhibition": lane.inhibition.save(),
    }


def _load_lane(
    saved: Mapping[str, Any], crossings: Crossings, lateness_ns: int, rules: Mapping[str, Rule],
    held: Mapping[int, Held],
) -> Lane:  # fmt: skip
    lane = Lane(lateness_ns, crossings.kin)
    lane.count, lane.reached, lane.decided = saved["count"], saved["reached"], saved["decided"]
    lane.leaving = [(source, place) for source, place in saved["leaving"]]
    lane.events = [_load_member(one) for one in saved["events"]]
    lane.steps = {name: _load_steps(lateness_ns, steps) for name, steps in saved["steps"].items()}
    lane.latest = {
        (rule, index, group): Latest.load(state)
        for rule, index, group, state in saved["latest"]
        if rule in rules
    }
    lane.turns = [
        _load_turn(one, crossings.kin.order, held)
        for one in saved["turns"]
        if (one[2] in rules or not one[2]) and (one[6] is None or one[6] in held)
    ]
    heapq.heapify(lane.turns)
    lane.inhibition = Inhibition.load(crossings.kin, saved["inhibition"], held, rules)
    return lane


def _save_steps(steps: Alignment[Member]) -> list[Any]:
    groups, *rest = steps.save()
    return [[[*group[:3], [_save_member(member) for member in group[3]]] for group in groups], *rest]


def _load_steps(lateness_ns: int, saved: Sequence[Any]) -> Alignment[Member]:
    groups, *rest = saved
    loaded = [[*group[:3], [_load_member(member) for member in group[3]]] for group in groups]
    return Alignment.load(lateness_ns, [loaded, *rest])


def _save_member(member: Member) -> list[Any]:
    matches = None if member.matches is None else {rule: dict(one) for rule, one in member.matches.items()}
    return [*member[:6], save_struct(member.event), matches]


def _load_member(saved: Sequence[Any]) -> Member:
    *order, event, matches = saved
    return Member._make([*order, None if event is None else load_event(event), matches])


def _save_turn(turn: Turn) -> list[Any]:
    held = None if turn.held is None else turn.held.number
    at = None if turn.at is None else list(turn.at)
    return [*turn[:2], *turn[3:7], held, save_diagnosis(turn.made), turn.reason, at, turn.values]


def _load_turn(saved: Sequence[Any], order: Mapping[str, int], held: Mapping[int, Held]) -> Turn:
    place, kind, rule, key, serial, time_ns, number, made, reason, at, values = saved
    held_now = None if number is None else held[number]
    where = None if at is None else (at[0], at[1])
    turn = (place, kind, order.get(rule, -1), rule, key, serial, time_ns)
    return Turn._make([*turn, held_now, load_diagnosis(made), reason, where, values])
