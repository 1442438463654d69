"""The *Pipeline health* dashboard: the workers, gateways and the store themselves, by their own metrics."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries

from dashboards import common
from dashboards import pipeline_sql as sql
from dashboards.common import PIPELINE_UID
from dashboards.layout import Line, Section, lay_out
from dashboards.panels import curve, number, rows
from dashboards.pipeline_sql import attribute
from dashboards.query import query_variable

_SERVICE = "m.service"
_TOPIC = f"concat(m.service, ' ', {attribute('topic')})"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        PIPELINE_UID, "Trainwarden itself: lag, rates, times, what was refused or lost.", since="now-3h"
    )
    board.with_variable(part_variable())
    lay_out(
        board,
        [
            Section(
                "",
                [Line(3, [ready(), lag_now(), behind_now(), dead(), unsaid(), left_out_now(), unwritten()])],
            ),
            Section(
                "Does it keep up", [Line(8, [lag(), behind()]), Line(8, [records(), stored(), gateway()])]
            ),
            Section("How long it takes", [Line(8, [stage_times(), inserts(), publishing(), requests()])]),
            Section(
                "What was lost, late or refused",
                [Line(8, [left_out(), dead_letters(), refusals(), retries()]), Line(8, [losses(), sizes()])],
            ),
            Section("What was decided and told", [Line(7, [decided(), acknowledged(), told()])]),
            Section(
                "Processes", [Line(7, [cpu(), memory(), files(), waiting_bytes()]), Line(8, [processes()])]
            ),
        ],
    )
    return board


def part_variable() -> dashboard.QueryVariable:
    """The parts of Trainwarden that sent metrics."""
    text = """
        SELECT DISTINCT service
        FROM train_metrics
        WHERE run = '' AND name = 'process.uptime' AND $__timeFilter_ms(time)
        ORDER BY service
        LIMIT 100
    """
    return query_variable("part", "Part", text, choose_all=True)


def _now(names: str, aggregate: str) -> str:
    """An aggregate of ``last``, the newest value of each process in the range."""
    return f"""
        SELECT {aggregate} AS value
        FROM (
            SELECT argMax(m.value, m.time) AS last, max(m.time) AS heard
            FROM train_metrics AS m
            WHERE m.run = '' AND {sql.PARTS} AND m.name IN ({names}) AND $__timeFilter_ms(m.time)
            GROUP BY m.service, m.resource['service.instance.id'], toString(m.attributes)
            HAVING heard > $__toTime_ms - INTERVAL 5 MINUTE OR heard > now64(3) - INTERVAL 5 MINUTE
        )
    """


def _counted(names: str) -> str:
    """How much counters grew in the range."""
    return f"""
        SELECT sum(highest - if(began >= $__fromTime_ms, 0, lowest)) AS value
        FROM (
            SELECT max(m.value) AS highest, min(m.value) AS lowest, min(m.start) AS began
            FROM train_metrics AS m
            WHERE m.run = '' AND {sql.PARTS} AND m.name IN ({names}) AND $__timeFilter_ms(m.time)
            GROUP BY m.service, m.resource['service.instance.id'], toString(m.attributes)
        )
    """


def ready() -> stat.Panel:
    """Processes that are not ready."""
    description = "Processes heard of in the last five minutes that say they are not ready."
    return number(
        1, "Not ready", description, "none", _now("'trainwarden.ready'", "countIf(last < 1)"), alarm=1
    )


def lag_now() -> stat.Panel:
    """Records that wait."""
    description = "Records that the workers have not read yet, over all partitions."
    return number(2, "Records waiting", description, "short", _now("'trainwarden.consumer.lag'", "sum(last)"))


def behind_now() -> stat.Panel:
    """How old the oldest unread record is."""
    description = "How long ago the newest record that a worker dealt with was written, where others wait."
    text = _now("'trainwarden.consumer.behind'", "max(last)")
    return number(3, "Behind", description, "s", text, alarm=60)


def dead() -> stat.Panel:
    """Records set aside."""
    description = "Records that were set aside to train.deadletters in the time range."
    return number(4, "Dead letters", description, "none", _counted("'trainwarden.deadletters'"), alarm=1)


def unsaid() -> stat.Panel:
    """Requests that were not taken."""
    text = _counted("'trainwarden.gateway.refused'")
    return number(5, "Requests refused", "OTLP requests that gateways did not take.", "short", text, alarm=1)


def left_out_now() -> stat.Panel:
    """Events that rules did not see in turn."""
    text = _counted("'trainwarden.rules.events.left_out'")
    description = "Events that were not judged or not in their turn: duplicates and late ones among them."
    return number(6, "Events left out", description, "short", text)


def unwritten() -> stat.Panel:
    """Rows that ClickHouse would not take."""
    description = "Records that could not be read and rows that ClickHouse would not take."
    text = _counted("'trainwarden.history.refused'")
    return number(7, "Rows refused", description, "short", text, alarm=1)


def lag() -> timeseries.Panel:
    """Records that wait, by topic."""
    text = sql.level("'trainwarden.consumer.lag'", _TOPIC)
    return curve(
        10, "Lag", "Records that were not read yet, by part and topic.", "short", text, bounds=(0, None)
    )


def behind() -> timeseries.Panel:
    """How far behind each part is."""
    text = sql.level(
        "'trainwarden.consumer.behind', 'trainwarden.rules.behind'",
        f"concat(m.service, ' ', if(m.name = 'trainwarden.rules.behind', 'rules', {attribute('topic')}))",
        "max",
    )
    description = (
        "How long ago the newest record that was dealt with was written (0 where none waits), and the clock"
        " of the rules against the wall clock; the worst partition."
    )
    return curve(11, "Behind", description, "s", text, bounds=(0, None), alarm=60)


def records() -> timeseries.Panel:
    """What stages are given."""
    series = f"concat({attribute('stage')}, if(m.name = 'trainwarden.stage.events', ' events', ' records'))"
    text = sql.rate("'trainwarden.stage.records', 'trainwarden.stage.events'", series)
    description = "Kafka records given to each stage, and events in them, per second."
    return curve(12, "Stages", description, "cps", text, bounds=(0, None))


def stored() -> timeseries.Panel:
    """What the history takes."""
    names = "'trainwarden.history.rows', 'trainwarden.history.records'"
    text = sql.rate(names, "replaceOne(m.name, 'trainwarden.history.', '')")
    description = "Kafka records stored and rows that ClickHouse took, per second."
    return curve(13, "History", description, "cps", text, bounds=(0, None))


def gateway() -> timeseries.Panel:
    """Requests of gateways."""
    series = f"concat({attribute('signal')}, ' ', {attribute('protocol')}, ' ', {attribute('status')})"
    text = sql.rate("'trainwarden.gateway.requests'", series)
    description = "Requests that gateways answered per second, by signal, protocol and status."
    return curve(14, "Requests of gateways", description, "reqps", text, bounds=(0, None))


def stage_times() -> timeseries.Panel:
    """What a stage takes to think."""
    names = "'trainwarden.stage.duration', 'trainwarden.rules.duration'"
    series = f"if(m.name = 'trainwarden.rules.duration', 'rules: one batch', {attribute('stage')})"
    text = sql.mean_time(names, series)
    description = (
        "Mean time that a stage took to think about a record, and the rules about a batch of events."
    )
    return curve(20, "Stage times", description, "s", text, bounds=(0, None))


def inserts() -> timeseries.Panel:
    """What an insert takes."""
    text = sql.mean_time("'trainwarden.history.insert.duration'", attribute("table"))
    return curve(
        21, "Inserts", "Mean time of an insert into ClickHouse, by table.", "s", text, bounds=(0, None)
    )


def publishing() -> timeseries.Panel:
    """What Kafka takes."""
    text = sql.mean_time("'trainwarden.publish.duration'", attribute("topic"))
    description = "Mean time until Kafka acknowledged what was written, by topic."
    return curve(22, "Publishing", description, "s", text, bounds=(0, None))


def requests() -> timeseries.Panel:
    """What a request takes."""
    names = "'trainwarden.gateway.request.duration', 'trainwarden.clickhouse.request.duration'"
    kind, signal = attribute("kind"), attribute("signal")
    series = f"concat(m.service, ' ', if(empty({signal}), {kind}, {signal}))"
    text = sql.mean_time(names, series)
    description = (
        "Mean time of a gateway's request, which waits for Kafka, and of a query or insert of the embedded"
        " ClickHouse."
    )
    return curve(23, "Requests", description, "s", text, bounds=(0, None))


def left_out() -> timeseries.Panel:
    """Events that rules did not see in turn, by reason."""
    text = sql.rate("'trainwarden.rules.events.left_out'", attribute("reason"))
    description = (
        "Events per second that were not judged or not in their turn, by reason: duplicates, late, lost ..."
    )
    return curve(30, "Events left out", description, "cps", text, bounds=(0, None))


def dead_letters() -> timeseries.Panel:
    """Records set aside."""
    text = sql.rate("'trainwarden.deadletters'", f"concat({attribute('stage')}, ': ', {attribute('reason')})")
    return curve(
        31,
        "Dead letters",
        "Records set aside per second, by stage and reason.",
        "cps",
        text,
        bounds=(0, None),
    )


def refusals() -> timeseries.Panel:
    """What gateways refuse."""
    names = "'trainwarden.gateway.refused', 'trainwarden.gateway.rejected'"
    text = sql.rate(
        names, f"if(m.name = 'trainwarden.gateway.rejected', 'rejected records', {attribute('reason')})"
    )
    description = "Requests per second that gateways did not take, by reason, and records left out of others."
    return curve(32, "Refused by gateways", description, "cps", text, bounds=(0, None))


def retries() -> timeseries.Panel:
    """What had to be done again."""
    names = (
        "'trainwarden.publish.failures', 'trainwarden.history.retries', 'trainwarden.history.duplicates',"
        " 'trainwarden.history.replayed', 'trainwarden.history.refused', 'trainwarden.rules.batches.repeated'"
    )
    text = sql.rate(names, "replaceOne(m.name, 'trainwarden.', '')")
    description = (
        "Per second: failed writes to Kafka and ClickHouse, resends, replays, and rows that were refused."
    )
    return curve(33, "Again", description, "cps", text, bounds=(0, None))


def losses() -> table.Panel:
    """What emitters lost."""
    text = """
        SELECT
            l.run AS run, l.rank AS rank, tupleElement(lost, 1) AS reason,
            sum(toFloat64OrZero(tupleElement(lost, 2))) AS records, max(l.Timestamp) AS `last told`
        FROM otel_logs AS l
        ARRAY JOIN arrayFilter(
            x -> startsWith(x.1, 'lost.'), CAST(l.LogAttributes, 'Array(Tuple(String, String))')
        ) AS lost
        WHERE l.EventName = 'train.emitter.report'
            AND toStartOfFiveMinutes(l.Timestamp) >= toStartOfFiveMinutes($__fromTime)
            AND $__timeFilter_ms(l.Timestamp)
        GROUP BY run, rank, reason
        ORDER BY records DESC
        LIMIT 100
    """
    description = (
        "Records that emitters dropped before they reached a gateway, by their own reports; 100 rows at most."
    )
    return rows(
        34,
        "Lost by emitters",
        description,
        text,
        units={"last told": "dateTimeFromNow"},
        links={"run": common.TO_RUN},
    )


def sizes() -> table.Panel:
    """How big the tables are."""
    text = """
        SELECT
            name AS table, toFloat64(total_rows) AS rows, toFloat64(total_bytes) AS size,
            if(total_rows > 0, total_bytes / total_rows, NULL) AS `bytes a row`
        FROM system.tables
        WHERE database = currentDatabase() AND total_rows > 0
        ORDER BY total_bytes DESC
        LIMIT 100
    """
    description = "Rows and compressed bytes of the history's tables now, whatever the time range is."
    return rows(
        35, "Tables", description, text, units={"rows": "short", "size": "bytes", "bytes a row": "bytes"}
    )


def decided() -> timeseries.Panel:
    """Decisions of the arbiter."""
    text = sql.rate("'trainwarden.remediate.decisions'", attribute("decision"))
    return curve(
        40, "Decisions", "Decisions of the arbiter per second, by kind.", "cps", text, bounds=(0, None)
    )


def acknowledged() -> timeseries.Panel:
    """Commands and answers."""
    names = "'trainwarden.remediate.commands', 'trainwarden.remediate.acks'"
    ack, command = f"concat('ack ', {attribute('state')})", f"concat('command ', {attribute('action')})"
    series = f"if(m.name = 'trainwarden.remediate.acks', {ack}, {command})"
    text = sql.rate(names, series)
    description = "Commands sent and acknowledgements read per second."
    return curve(41, "Commands and answers", description, "cps", text, bounds=(0, None))


def told() -> timeseries.Panel:
    """Notices to web hooks."""
    text = sql.rate(
        "'trainwarden.notify.notices'", f"concat({attribute('hook')}, ' ', {attribute('outcome')})"
    )
    return curve(
        42, "Notices", "Notices to web hooks per second, by hook and outcome.", "cps", text, bounds=(0, None)
    )


def cpu() -> timeseries.Panel:
    """CPU of our processes."""
    text = sql.rate("'process.cpu.time'", _SERVICE)
    description = "Cores that each part uses, all of its processes together."
    return curve(50, "CPU", description, "none", text, bounds=(0, None))


def memory() -> timeseries.Panel:
    """Memory of our processes."""
    text = sql.level("'process.memory.usage'", _SERVICE)
    return curve(
        51,
        "Memory",
        "Resident memory of each part, all of its processes together.",
        "bytes",
        text,
        bounds=(0, None),
    )


def files() -> timeseries.Panel:
    """Files and threads."""
    names = "'process.unix.file_descriptor.count', 'process.thread.count'"
    text = sql.level(names, "concat(m.service, if(m.name = 'process.thread.count', ' threads', ' files'))")
    return curve(
        52,
        "Files and threads",
        "Open files and sockets, and threads, of each part.",
        "none",
        text,
        bounds=(0, None),
    )


def waiting_bytes() -> timeseries.Panel:
    """What lies in memory."""
    names = "'trainwarden.history.waiting', 'trainwarden.gateway.queue', 'trainwarden.clickhouse.memory'"
    text = sql.level(names, "replaceOne(m.name, 'trainwarden.', '')")
    description = "Bytes that wait to be stored, of requests under way, and of the embedded ClickHouse."
    return curve(53, "In memory", description, "bytes", text, bounds=(0, None))


def processes() -> table.Panel:
    """Every process, the newest first."""
    text = f"""
        SELECT
            m.service AS part, m.resource['service.instance.id'] AS process,
            m.resource['service.version'] AS version,
            argMaxIf(m.value, m.time, m.name = 'process.uptime') AS uptime,
            if(argMaxIf(m.value, m.time, m.name = 'trainwarden.ready') = 1, 'ready', 'not ready') AS ready,
            argMaxIf(m.value, m.time, m.name = 'process.memory.usage') AS memory,
            max(m.time) AS `last heard`
        FROM train_metrics AS m
        WHERE m.run = '' AND {sql.PARTS} AND $__timeFilter_ms(m.time)
            AND m.name IN ('process.uptime', 'trainwarden.ready', 'process.memory.usage')
        GROUP BY part, process, version
        ORDER BY `last heard` DESC
        LIMIT 100
    """
    return rows(
        54,
        "Processes",
        "Processes of Trainwarden that sent metrics in the time range, newest first; 100 at most.",
        text,
        units={"uptime": "s", "memory": "bytes", "last heard": "dateTimeFromNow"},
        colors={"ready": {"ready": common.GREEN, "not ready": common.RED}},
    )
