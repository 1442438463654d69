"""The published schemas: fresh, valid, and true of real messages."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from emitter.vocabulary import cloudevents, commands, control, diagnoses, topics
from emitter.vocabulary.commands import Ack, Command
from emitter.vocabulary.control import Control, RunMode, Silence
from emitter.vocabulary.diagnoses import Diagnosis
from stream import topics as administration
from stream.remediate.decisions import Decision, record
from stream.schemas.__main__ import DOCS, files
from stream.schemas.messages import all_messages
from tests.stream.remediate.scenes import Scene

NOW = cloudevents.rfc3339(time.time_ns())
COMMAND = Command(
    "c", "run", "rollback", NOW, NOW, args={"lr_scale": 0.1, "checkpoint": {"step": 1, "path": "/c"}}
)


def check(payload: bytes) -> dict[str, Any]:
    """The event, which fits the schema in docs of its type. ValidationError where it does not."""
    event: dict[str, Any] = json.loads(payload)
    name = event["type"].split(".")[2]
    schema = json.loads((DOCS / "schemas" / f"{name}.json").read_text())
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(event)
    return event


def test_files_in_docs_are_those_that_the_types_give() -> None:
    """`python -m stream.schemas` writes them."""
    stale = [name for name, content in files().items() if (DOCS / name).read_text() != content]
    assert stale == [], "run `python -m stream.schemas`"
    assert {path.name for path in (DOCS / "schemas").iterdir()} == {
        f"{message.name}.json" for message in all_messages()
    }


def test_schemas_are_schemas() -> None:
    """Each is a JSON Schema of draft 2020-12."""
    for message in all_messages():
        Draft202012Validator.check_schema(message.schema())


def messages() -> Iterator[bytes]:
    """One of each kind that we make ourselves, with everything that may be null or not finite."""
    yield COMMAND.encode()
    for state in commands.ACK_STATES:
        yield Ack("c", "run", state, NOW, rank=None, duration=float("nan"), executor="actor:slurm").encode()
    for kind in diagnoses.STATES:
        yield Diagnosis(
            "d",
            "r",
            "nan_loss",
            "warning",
            kind,
            "run",
            NOW,
            "s",
            epoch=float("inf"),
            evidence={"x": float("nan")},
        ).encode()
    for kind in control.KINDS:
        yield Control(kind, "ann", NOW, "c", "why", Silence("s", ends=NOW)).encode()
    yield Control("reset_breaker", "ann", NOW).encode()
    for mode in (*control.MODES, None):
        yield Control("mode", "ann", NOW, run_mode=RunMode("exp-*", mode, NOW)).encode()
    for command in (COMMAND, None):
        decision = Decision("i", "sent", "run", 0, time.time_ns(), command=command)
        yield cloudevents.encode(cloudevents.INTENT, "i", "run", NOW, decision.to_json())


def test_messages_fit_their_schemas() -> None:
    """Every kind, every state; and the schema knows every field."""
    for payload in messages():
        event = check(payload)
        (message,) = [one for one in all_messages() if one.kind == event["type"]]
        assert set(message.data["properties"]) == set(event["data"])


@pytest.mark.parametrize(
    "change",
    [
        {"action": 1}, {"issued": "yesterday"}, {"target": {"ranks": "some"}}, {"args": []},
        {"args": {"lr_scale": 0}}, {"args": {"checkpoint": {"step": 1}}}, {"id": None},
    ],
)  # fmt: skip
def test_what_the_emitter_would_refuse_does_not_fit(change: dict[str, Any]) -> None:
    """Types, times and the bounds of arguments are in the schema."""
    event = json.loads(COMMAND.encode())
    event["data"].update(change)
    with pytest.raises(ValidationError):
        check(json.dumps(event).encode())


def test_the_document_names_every_topic_of_events() -> None:
    """All references lead somewhere; signed messages have their headers."""
    found = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
    addresses = {channel["address"] for channel in found["channels"].values()}
    assert addresses == {
        topics.TRAIN_DIAGNOSES, topics.REMEDIATION_INTENTS, topics.REMEDIATION_CONTROL,
        topics.REMEDIATION_COMMANDS, topics.REMEDIATION_ACKS,
    }  # fmt: skip
    for reference in _references(found):
        place, _, path = reference.partition("#")
        if place:
            assert (DOCS / place).exists(), reference
            continue
        node = found
        for part in path.strip("/").split("/"):
            node = node[part]
    parts = found["components"]["messages"]
    assert [name for name, part in parts.items() if "headers" in part] == ["control", "command"]
    assert {field.name for field in fields(Command)} <= set(all_messages()[4].data["properties"])


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@pytest.mark.slow
def test_the_example_subscriber(bare: str, tmp_path: Any) -> None:
    """Plain aiokafka, at most twenty lines of code; it prints each event of a run once."""
    import sys

    from tests.emitter import kafka_side
    from tests.fixtures import Child, wait_for

    path = DOCS.parent / "examples" / "subscriber.py"
    code = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(code) <= 20
    run = uuid.uuid4().hex
    one, two = kafka_side.command(run, "save"), kafka_side.command(run, "stop")
    asyncio.run(administration.apply(bare)).check()
    kafka_side.send(bare, topics.REMEDIATION_COMMANDS, one, one, two)
    child = Child([sys.executable, str(path), bare], tmp_path / "log")
    try:
        wait_for(lambda: two.id in child.log() or child.process.poll() is not None, 60, "the command")
        lines = [line for line in child.log().splitlines() if run in line]
        assert len(lines) == 2, child.log()
        assert '"action": "save"' in lines[0]
    finally:
        child.kill()


def test_a_whole_incident_fits() -> None:
    """What the arbiter publishes, decides and commands from the first diagnosis to the end."""
    scene = Scene()
    scene.checkpoint(100, at_s=1)
    scene.fire(at_s=2)
    for _ in range(2):
        scene.ack(scene.sent[-1], commands.SUCCEEDED, rank=0)
    scene.resolve(at_s=2)
    scene.tick(100)
    kinds = set()
    for made in scene.all:
        payload = record(made).value if isinstance(made, Decision) else getattr(made, "value", None)
        payload = made.encode() if isinstance(made, Command) else payload
        if payload:
            kinds.add(check(payload)["type"].split(".")[2])
    assert kinds == {"incident", "intent", "command"}
    (incident,) = [one for one in all_messages() if one.name == "incident"]
    assert scene.published
    for published in scene.published:
        assert set(published) == set(incident.data["properties"])
        assert set(published["cause"]) == set(incident.data["properties"]["cause"]["properties"])
