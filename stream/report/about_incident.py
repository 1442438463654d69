"""One incident out of the history: its records, its acknowledgements by command, and the curves around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.history import ledger
from stream.ledger import book as books
from stream.ledger.book import Record, command_id
from stream.ledger.errors import AmbiguousIdError, UnknownIdError
from stream.ledger.story import SHORTEST
from stream.report import loglines, recovering, telling
from stream.report.ask import Ask, Row, ledger_of
from stream.report.curves import Speaker, curves, speaker
from stream.report.errors import NoIncidentError
from stream.report.facts import Action, Checkpoint, Entry, IncidentFacts, Member, Recovery
from stream.report.ruletext import Shelf

_MOST_DECISIONS: Final = 500
_ABOUT_S: Final = (20.0, 3600.0)
"""What is shown before and after an incident, at least and at most."""
_FIND: Final = """
SELECT id FROM train_incident_changes WHERE startsWith(id, {id:String}) GROUP BY id ORDER BY id LIMIT 20
"""
_NEWEST: Final = "SELECT id FROM train_incident_changes GROUP BY id ORDER BY max(time) DESC LIMIT 500"
_ACKS: Final = """
SELECT
    command, executor, state, reason, count() AS said, toUnixTimestamp64Nano(min(time)) AS first,
    toUnixTimestamp64Nano(max(time)) AS last, min(step) AS step, any(detail) AS detail,
    arraySlice(groupUniqArray(16)(rank), 1, 8) AS ranks
FROM train_acks FINAL WHERE run = {run:String} AND command IN {ids:Array(String)}
GROUP BY command, executor, state, reason ORDER BY first, last LIMIT 500
"""
_SAVES: Final = """
SELECT
    toInt64OrZero(SpanAttributes['checkpoint.step']) AS step, SpanAttributes['checkpoint.kind'] AS kind,
    SpanAttributes['checkpoint.verified'] = 'true' AS verified,
    toInt64(toUnixTimestamp64Nano(Timestamp) + Duration) AS at
FROM otel_traces
WHERE run = {run:String} AND SpanName = 'checkpoint.save' AND StatusCode != 'Error'
    AND Timestamp <= fromUnixTimestamp64Nano({until:Int64})
ORDER BY Timestamp DESC LIMIT 200
"""


def find(ask: Ask, wanted: str) -> Record:
    """The incident of this id, or the only one whose id begins so. Raises NoIncidentError."""
    found = [row["id"] for row in ask(_FIND, id=wanted)]
    try:
        if wanted in found:
            found = [wanted]
        if len(found) > 1 and len(wanted) >= SHORTEST:
            raise AmbiguousIdError(wanted, found)
        if len(found) != 1 or (found != [wanted] and len(wanted) < SHORTEST):
            known = [row["id"] for row in ask(_NEWEST)]
            raise UnknownIdError(
                "incident", wanted, known, "`trainwarden incidents list` shows those that are known"
            )
    except (AmbiguousIdError, UnknownIdError) as error:
        raise NoIncidentError(str(error)) from None
    (record,) = records(ask, books.INCIDENT, "id = {id:String}", id=found[0])
    return record


def records(ask: Ask, kind: str, where: str, limit: int = ledger.MOST, **parameters: Any) -> list[Record]:
    """Records of the ledger, the oldest first."""
    query = ledger.select(kind, where, parameters, limit)
    return [ledger.record_of(kind, row) for row in reversed(ledger_of(ask)(query))]


def facts(
    ask: Ask, record: Record, shelf: Shelf, recoveries: Mapping[str, Recovery], whole: bool = True
) -> IncidentFacts:
    """All about it; the curves, log lines and rules around it only where ``whole``."""
    run = record["run"]
    decisions = records(
        ask,
        books.DECISION,
        "run = {run:String} AND incident = {id:String}",
        _MOST_DECISIONS,
        run=run,
        id=record["id"],
    )
    planned = [one for one in record.get("actions") or () if isinstance(one, dict)]
    ids = sorted(
        {str(one["command"]) for one in planned if one.get("command")}
        | {found for one in decisions if (found := command_id(one))}
    )
    commands = records(
        ask, books.COMMAND, "run = {run:String} AND id IN {ids:Array(String)}", run=run, ids=ids
    )
    acks = ask(_ACKS, run=run, ids=ids) if ids else []
    words = records(ask, books.WORD, "command IN {ids:Array(String)}", ids=ids) if ids else []
    actions = [_action(one, decisions, commands, acks) for one in planned]
    cause, symptoms = _member(record.get("cause") or {}, record), _symptoms(record)
    who = speaker(ask, run)
    event = recovering.first_sign(ask, run, cause)
    ended = _ns(record.get("ended"))
    recovery, began = recoveries.get(record["id"], Recovery()), _ns(record["began"]) or 0
    since, until = _window(event, ended or _ns(record.get("time")) or event)
    cost = record.get("cost") or {}
    saves = [_checkpoint(row) for row in ask(_SAVES, run=run, until=event)]
    return IncidentFacts(
        id=record["id"], run=run, run_name=record.get("run_name") or "",
        attempt=int(record.get("attempt") or 0), state=record["state"],
        outcome=record.get("outcome"), began=began, ended=ended,
        event=event, cause=cause, symptoms=symptoms, actions=actions,
        lost_steps=int(cost.get("lost_steps") or 0), lost_seconds=float(cost.get("lost_seconds") or 0.0),
        gpu_seconds=cost.get("gpu_seconds"),
        timeline=telling.timeline(event, cause, symptoms, decisions, words, commands, acks,
                                  _past(began, recovery)),
        decided=telling.counted(decisions),
        recovery=recovery,
        verified=[one for one in saves if one.verified and one.kind != "forensic"], saves=len(saves),
        curves=_curves(ask, run, who, since, until) if whole else [], since=since, until=until,
        logs=loglines.around(ask, run, since, until, event) if whole else [],
        rules=shelf.all((one.rule, one.version) for one in (cause, *symptoms)) if whole else [],
    )  # fmt: skip


def _curves(ask: Ask, run: str, who: Speaker | None, since: int, until: int) -> list[Any]:
    return curves(ask, run, who, since, until) if who is not None else []


def _past(began: int, recovery: Recovery) -> Entry | None:
    if recovery.recover is None:
        return None
    return Entry(began + int(recovery.recover * 1e9), "recovered", "a step further than ever before", "good")


def _window(event: int, ended: int) -> tuple[int, int]:
    least, most = _ABOUT_S
    around = int(min(most, max(least, (ended - event) / 1e9 / 2)) * 1e9)
    return event - around, ended + around // 2


def _action(planned: Record, decisions: list[Record], commands: list[Record], acks: list[Row]) -> Action:
    identity = planned.get("command")
    about = [one for one in decisions if identity and command_id(one) == identity]
    sent = next((one for one in commands if one["id"] == identity), None)
    answers = [one for one in acks if one["command"] == identity]
    ends = [
        one for one in answers if one["state"] in ("succeeded", "failed", "aborted", "rejected", "expired")
    ]
    began = [int(one["first"]) for one in answers if one["state"] == "running"]
    return Action(
        action=str(planned.get("action")), rule=str(planned.get("rule")), command=identity,
        state=str(planned.get("state")), outcome=planned.get("outcome"),
        reason=planned.get("reason") or _why(ends),
        author=planned.get("author"), ranks=_ranks(planned.get("ranks") or {}),
        held=_first(about, "held"), released=_first(about, "sent") or _first(about, "approved"),
        issued=_first(about, "sent") or (_ns(sent["issued"]) if sent else None),
        began=min(began, default=None), ended=max((int(one["last"]) for one in ends), default=None),
        detail=next((found for one in ends if (found := telling.detail(one))), {}),
    )  # fmt: skip


def _why(ends: Iterable[Row]) -> str | None:
    return next((str(one["reason"]) for one in ends if one["reason"]), None)


def _first(decisions: Iterable[Record], kind: str) -> int | None:
    return min((_ns(one["time"]) or 0 for one in decisions if one["decision"] == kind), default=None)


def _ranks(ranks: Record) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in ranks.values():
        found[str(state)] = found.get(str(state), 0) + 1
    return found


def _symptoms(record: Record) -> list[Member]:
    return [_member(one, record) for one in record.get("symptoms") or () if isinstance(one, dict)]


def _member(one: Record, record: Record) -> Member:
    evidence = one.get("evidence")
    return Member(
        str(one.get("rule") or record.get("rule") or "unknown"), str(one.get("rule_version") or ""),
        str(one.get("category") or record.get("category") or ""),
        str(one.get("severity") or record.get("severity") or ""),
        str(one.get("summary") or record.get("summary") or ""),
        one.get("rank"), one.get("node"), one.get("step"),
        evidence if isinstance(evidence, dict) else {}, _ns(one.get("began")) or _ns(record["began"]) or 0,
        _ns(one.get("ended")),
    )  # fmt: skip


def _checkpoint(row: Row) -> Checkpoint:
    return Checkpoint(int(row["at"]), int(row["step"]), row["kind"], bool(row["verified"]))


def _ns(time: str | None) -> int | None:
    return cloudevents.parse_rfc3339(time) if time else None
