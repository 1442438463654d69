"""Looks at ClickHouse: does it answer, is the schema ours, do the clocks agree, is anything written."""

from __future__ import annotations

import time
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from emitter.vocabulary.commands import CLOCK_SKEW_S
from stream import history
from stream.doctor.finding import Finding, error, ok, warning
from stream.history.client import Address, error_code, first_line
from stream.history.errors import MigrationError
from stream.history.migrate import UNKNOWN_DATABASE, missing
from stream.ledger.refusals import CURES

HISTORY, SCHEMA, CLOCKS, REFUSALS = "history", "schema", "clocks", "refused commands"
FRESH_S: Final = 300.0
SKEW_S: Final = 5.0
"""Beyond this, times of different machines cannot be compared; beyond CLOCK_SKEW_S commands are refused."""

_NEWEST: Final = "SELECT max(time) FROM train_heartbeats"
_REFUSED: Final = """
SELECT reason, count() AS acks, uniqExact(run) AS runs, max(time) AS newest
FROM train_acks FINAL
WHERE state = 'rejected' AND time >= now64(9) - toIntervalSecond({seconds:UInt64})
GROUP BY reason ORDER BY acks DESC, reason
"""


def look(url: str, since_s: float) -> list[Finding]:
    """Reads only. ``since_s``: how far back refused commands count."""
    try:
        with history.connect(url) as client:
            version = client.query("SELECT version()").result_rows[0][0]
            found = [ok(HISTORY, f"{Address.parse(url)} answers, ClickHouse {version}"), _clocks(client)]
            pending = missing(client)
            if pending:
                return [
                    *found,
                    error(SCHEMA, f"not applied: {', '.join(pending)}", "`trainwarden db migrate`"),
                ]
            found.append(ok(SCHEMA, "up to date"))
            return [*found, _newest(client), *_refusals(client, since_s)]
    except MigrationError as problem:
        return [*found, error(SCHEMA, str(problem), "give this database the release that wrote it")]
    except history.HistoryError as problem:
        return [error(HISTORY, str(problem), "start it, or name another with --clickhouse")]
    except ClickHouseError as problem:
        if error_code(problem) == UNKNOWN_DATABASE:
            name = Address.parse(url).database
            return [error(SCHEMA, f"there is no database {name}", "`trainwarden db migrate` makes it")]
        cure = "check user, password and rights; --clickhouse http://USER:PASSWORD@HOST:PORT/DATABASE"
        return [error(HISTORY, f"{Address.parse(url)}: {first_line(problem)}", cure)]


def _clocks(client: Any) -> Finding:
    before = time.time()
    theirs = float(client.query("SELECT toFloat64(now64(6))").result_rows[0][0])
    after = time.time()
    skew = theirs - (before + after) / 2
    said = f"ClickHouse's is {abs(skew):.2f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    if abs(skew) <= SKEW_S + (after - before) / 2:
        return ok(CLOCKS, said)
    cure = f"set them (chrony, NTP); commands are refused beyond {CLOCK_SKEW_S:g} s"
    return (error if abs(skew) > CLOCK_SKEW_S else warning)(CLOCKS, said, cure)


def _newest(client: Any) -> Finding:
    newest = client.query(_NEWEST).result_rows[0][0]
    age = time.time() - newest.timestamp()
    if newest.timestamp() <= 0:
        return ok(HISTORY, "no run has sent a heartbeat yet")
    return ok(HISTORY, f"the newest heartbeat is {_age(age)} old")


def _age(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _refusals(client: Any, since_s: float) -> list[Finding]:
    rows = client.query(_REFUSED, parameters={"seconds": int(since_s)}).result_rows
    if not rows:
        return [ok(REFUSALS, f"none in {_age(since_s)}")]
    return [
        warning(REFUSALS, f"{reason}: {acks} times in {runs} runs, last {newest:%Y-%m-%d %H:%M:%S}",
                CURES.get(reason, "`trainwarden commands why ID` says more of each"))
        for reason, acks, runs, newest in rows
    ]  # fmt: skip
