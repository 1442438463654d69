"""The loop on a real broker with a real worker process: OTLP bytes in, commands out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest

from emitter.vocabulary import commands, topics
from emitter.vocabulary import events as vocabulary
from tests.stream.loop_rig import LOOP_TOPICS, Ends, Rank, Worker, ack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def worker(topics_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A loop worker in mode act."""
    worker = Worker(topics_of_module, tmp_path_factory.mktemp("loop"))
    try:
        worker.wait_ready()
        yield worker
        assert worker.child.stop() == 0
    finally:
        worker.child.kill()


@pytest.fixture
def run() -> str:
    """A run id of one's own."""
    return f"run-{uuid.uuid4().hex[:8]}"


def test_a_bad_value_becomes_commands_one_after_the_other(
    worker: Worker, topics_of_module: str, run: str
) -> None:
    """otlp_logs to diagnosis to save; the save's success leads to the rollback to the good checkpoint."""

    async def scenario() -> None:
        rank = Rank(run)
        async with Ends(topics_of_module, *LOOP_TOPICS) as ends:
            for step in range(60):
                await ends.send(topics.OTLP_LOGS, rank.step(step, grad_norm=1.0), rank.emitter)
            await ends.send(topics.OTLP_SPANS, rank.checkpoint(40), rank.emitter)
            await ends.send(topics.OTLP_LOGS, rank.step(60, grad_norm=50.0), rank.emitter)
            save = (await ends.wait(lambda: ends.data(topics.REMEDIATION_COMMANDS, run), "a command"))[0]
            assert (save["action"], save["args"]) == ("save", {"kind": "forensic"})
            diagnosis = ends.data(topics.TRAIN_DIAGNOSES, run)[0]
            assert (diagnosis["rule"], diagnosis["state"], diagnosis["step"]) == (
                "gradient-explosion",
                "firing",
                60,
            )
            assert save["reason"]["diagnosis"] == diagnosis["id"]
            for state in (commands.RECEIVED, commands.SUCCEEDED):
                await ends.send(topics.REMEDIATION_ACKS, ack(save, state), run)
            found = await ends.wait(
                lambda: ends.data(topics.REMEDIATION_COMMANDS, run)[1:], "the second command"
            )
            assert found[0]["action"] == "rollback"
            assert found[0]["args"]["before_step"] == 60
            assert found[0]["args"]["lr_scale"] == 0.5
            assert found[0]["args"]["checkpoint"] == {"step": 40, "path": "/c/40"}

    asyncio.run(scenario())


def test_a_silent_rank_is_diagnosed_once_the_clock_goes_on(
    worker: Worker, topics_of_module: str, run: str
) -> None:
    """The beacons of the worker are the clock; the notification stands on remediation.intents alone."""

    async def scenario() -> None:
        rank = Rank(run)
        async with Ends(topics_of_module, *LOOP_TOPICS) as ends:
            beat = rank.logs((vocabulary.HEARTBEAT, 1, {"train.phase": "train"}))
            await ends.send(topics.OTLP_LOGS, beat, rank.emitter)
            found = await ends.wait(lambda: ends.data(topics.TRAIN_DIAGNOSES, run), "a diagnosis")
            assert [(d["rule"], d["state"]) for d in found] == [("no-heartbeat", "firing")]
            intents = await ends.wait(lambda: ends.decisions(run)[1:], "intents")
            assert [i["decision"] for i in intents] == ["notified"]
            assert ends.data(topics.REMEDIATION_COMMANDS, run) == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("topic", "stage", "error"),
    [
        (topics.OTLP_LOGS, "ingest", "expected an ExportLogsServiceRequest in protobuf"),
        (topics.OTLP_SPANS, "ingest", "expected an ExportTraceServiceRequest in protobuf"),
        (topics.OTLP_METRICS, "ingest", "expected an ExportMetricsServiceRequest in protobuf"),
        (topics.TRAIN_EVENTS, "diagnose", "train.events: "),
        (topics.TRAIN_EVENTS, "remediate", "train.events: "),
        (topics.TRAIN_DIAGNOSES, "remediate", "diagnosis: |expected a CloudEvent"),
        (topics.REMEDIATION_ACKS, "remediate", "expected a CloudEvent"),
        (topics.REMEDIATION_CONTROL, "remediate", "expected a CloudEvent"),
    ],
)
def test_bytes_nobody_understands_become_a_dead_letter(
    worker: Worker, topics_of_module: str, run: str, topic: str, stage: str, error: str
) -> None:
    """On every topic the loop reads; with the original bytes and the place in the headers."""

    async def scenario() -> None:
        async with Ends(topics_of_module, topics.TRAIN_DEADLETTERS) as ends:
            value = b"\xff\xfe" + run.encode()
            await ends.send(topic, value, key=run)

            def letter() -> dict[str, str] | None:
                for message in ends.collected[topics.TRAIN_DEADLETTERS]:
                    headers = {name: content.decode() for name, content in message.headers}
                    if message.value == value and headers["stage"] == stage:
                        return headers
                return None

            headers = await ends.wait(letter, "the dead letter")
            assert headers["topic"] == topic
            assert any(part in headers["error"] for part in error.split("|"))
            assert tuple(headers) == topics.DEADLETTER_HEADERS

    asyncio.run(scenario())
    assert worker.get("/readyz")[0] == 200


def test_health_says_what_is_assigned(worker: Worker) -> None:
    """All topics of the loop, all partitions, one worker."""
    assert worker.get("/healthz") == (200, {"status": "ok"})
    status, report = worker.get("/readyz")
    assert (status, report["ready"], report["reason"]) == (200, True, None)
    assert set(report["partitions"]) == {
        *topics.OTLP_TOPICS, topics.TRAIN_EVENTS, topics.TRAIN_DIAGNOSES, topics.REMEDIATION_ACKS,
        topics.REMEDIATION_INTENTS, topics.REMEDIATION_CONTROL,
    }  # fmt: skip


def test_its_log_is_our_words_alone(worker: Worker) -> None:
    """Faust neither takes over stdout nor narrates."""
    assert "faust" not in worker.child.log().replace("faustkit", "")
