"""What a loop worker says of itself: each number moves when its cause happens. Real processes."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from emitter.vocabulary import commands, topics
from tests.fixtures import Child, free_port, wait_for
from tests.stream.loop_rig import LOOP_TOPICS, Ends, Rank, Worker, ack
from tests.stream.scraped import Pages
from tests.stream.telemetry.receiver import receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

_HANGS = """
import asyncio, sys
from pathlib import Path
from stream.faustkit.app import raw_topic
from stream.faustkit.runner import Job, run_job

kafka, directory, port = sys.argv[1:]

def attach(app, host):
    async def agent(stream):
        async for event in stream.noack().events():
            await asyncio.Event().wait()
    app.agent(raw_topic(app, "otlp_logs"), name="hangs")(agent)

run_job(Job("hangs", kafka, Path(directory), attach, int(port), stuck_after_s=2.0))
"""


def _nameless() -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name="train.step")
    return request.SerializeToString()


def test_every_number_moves_when_its_cause_happens(own_topics: str, tmp_path: Path) -> None:
    """Dead, late, lost, repeated and nameless events, stages, rules, decisions, commands, acknowledgements.

    Prometheus' parser reads them; a bare OTLP receiver gets the same.
    """
    with receiving() as receiver:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
        worker = Worker(own_topics, tmp_path, env=env)
        try:
            worker.wait_ready()
            pages = Pages(worker.port)
            asyncio.run(_causes(own_topics, pages))
            assert pages.get("/healthz") == (200, {"status": "ok"})
            name = "trainwarden.deadletters"
            wait_for(lambda: receiver.points(name), 60, "the same over OTLP")
            (dead,) = receiver.points(name).values()
            assert dead.as_int == 1
            assert receiver.resource()["service.name"] == "trainwarden-loop"
            assert worker.child.stop() == 0
        finally:
            worker.child.kill()


async def _causes(broker: str, pages: Pages) -> None:
    rank = Rank(f"run-{uuid.uuid4().hex[:8]}")

    async def moved(name: str, count: float = 1, **labels: str) -> None:
        await asyncio.to_thread(lambda: pages.wait(lambda v: v >= count, f"trainwarden_{name}", **labels))

    async with Ends(broker, *LOOP_TOPICS) as ends:
        for step in range(60):
            await ends.send(topics.OTLP_LOGS, rank.step(step, grad_norm=1.0), rank.emitter)
        await ends.send(topics.OTLP_LOGS, rank.step(60, grad_norm=50.0), rank.emitter)
        await moved("remediate_commands_total", action="save")
        await moved("remediate_decisions_total", decision="sent")
        (save, *_) = await ends.wait(
            lambda: ends.data(topics.REMEDIATION_COMMANDS, rank.run), "the command itself"
        )
        await ends.send(topics.REMEDIATION_ACKS, ack(save, commands.RECEIVED), rank.run)
        await moved("remediate_acks_total", state="received")

        rank.seq -= 1
        await ends.send(topics.OTLP_LOGS, rank.step(60, grad_norm=1.0), rank.emitter)
        await moved("rules_events_left_out_total", reason="duplicates")
        missing, rank.seq = rank.seq, rank.seq + 1
        await ends.send(topics.OTLP_LOGS, rank.step(62, grad_norm=1.0), rank.emitter)
        await moved("rules_events_left_out_total", reason="lost")
        rank.seq = missing
        await ends.send(topics.OTLP_LOGS, rank.step(61, grad_norm=1.0), rank.emitter)
        await moved("rules_events_left_out_total", reason="late")

        await ends.send(topics.OTLP_LOGS, b"not OTLP at all")
        await moved("deadletters_total", stage="ingest", reason="malformed")
        await ends.send(topics.OTLP_LOGS, _nameless())
        await moved("ingest_events_without_run_total")

    await moved("stage_records_total", 65, stage="ingest", topic="otlp_logs")
    await moved("stage_events_total", 64, stage="ingest")
    await moved("stage_events_total", 64, stage="diagnose")
    await moved("stage_duration_seconds_count", 64, stage="diagnose", topic="train.events")
    await moved("rules_duration_seconds_count", 64, message="batch")
    await moved("rules_duration_seconds_count", 1, message="tick")
    await moved("rules_runs")
    await moved("publish_records_total", 64, topic="train.events")
    await moved("publish_duration_seconds_count", topic="train.events")
    await moved("ready")
    await moved("healthy")
    samples = pages.samples()
    for topic, partition in ((topics.OTLP_LOGS, "0"), (topics.TRAIN_EVENTS, "1")):
        labels = frozenset({"topic": topic, "partition": partition}.items())
        assert ("trainwarden_consumer_lag", labels) in samples
        assert ("trainwarden_consumer_behind_seconds", labels) in samples
    assert ("trainwarden_rules_behind_seconds", frozenset({("partition", "0")})) in samples
    labels = frozenset({"stage": "diagnose", "topic": topics.TRAIN_EVENTS}.items())
    assert ("trainwarden_outbox_depth", labels) in samples
    assert pages.value("process_cpu_time_seconds_total", cpu_mode="user") > 0
    assert pages.value("process_memory_usage_bytes") > 10e6


def test_a_worker_that_reads_nothing_of_what_piles_up_says_that_it_is_stuck(
    own_topics: str, tmp_path: Path
) -> None:
    """An agent that hangs: /healthz is 503 with the partition, the lag grows; before, all was well."""
    port = free_port()
    child = Child([sys.executable, "-c", _HANGS, own_topics, str(tmp_path), str(port)], tmp_path / "log")
    pages = Pages(port)
    try:
        child.wait_until(lambda: pages.get("/readyz")[0] == 200, "readiness", 120)
        assert pages.get("/healthz") == (200, {"status": "ok"})
        status, said = asyncio.run(_until_stuck(own_topics, pages))
    finally:
        child.kill()
    assert (status, said["status"]) == (503, "stuck")
    assert said["reason"].startswith("otlp_logs[0]: ")
    assert "records wait and none was read for" in said["reason"]


async def _until_stuck(broker: str, pages: Pages) -> tuple[int, dict[str, str]]:
    async with Ends(broker) as ends:
        for _ in range(600):
            await ends.send(topics.OTLP_LOGS, b"x", partition=0)
            lag = pages.value("trainwarden_consumer_lag", topic=topics.OTLP_LOGS, partition="0")
            status, said = pages.get("/healthz")
            if status != 200:
                assert lag > 1
                assert pages.value("trainwarden_healthy") == 0
                return status, said
            await asyncio.sleep(0.2)
    raise AssertionError(f"it never said so; lag {lag}")
