"""From a bad value to an approved rollback: real worker, emitter and keys, a person's word, a web hook."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from emitter.signing import TrustedKeys, verify
from emitter.signing.places import ENV_OPERATORS, ENV_TRUSTED_KEYS
from emitter.vocabulary import topics
from stream.keys import OPERATOR, KeyStore
from stream.records import Outgoing
from stream.topics import apply
from tests.dashboards.rig import ending, new_history, start_viewer
from tests.fixtures import Child, http_request, own_broker, read_topic, start_gateway, wait_for
from tests.stream.ledger.keeping import keep
from tests.stream.loop_rig import Worker
from tests.stream.notify.far_end import FarEnd, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

TRAINER = """
import sys, time
import emitter

run, endpoint, commands = sys.argv[1:]
emitter.init(run=run, run_id=run, endpoint=endpoint, commands=commands, resources=False, logs=False)
state = {"bad": False}

@emitter.on("save")
def save(command):
    return {"path": "/forensic"}

@emitter.on("rollback")
def rollback(command):
    state["bad"] = False
    print("rolled back by", command.args["lr_scale"], flush=True)

for step in range(100_000):
    if step == 60:
        state["bad"] = True
    emitter.step(step, grad_norm=50.0 if state["bad"] else 1.0)
    time.sleep(0.02)
"""
POLICY = "mode: approve\nsettle: 2s\n"
HOOKS = """
hooks:
  - name: people
    kind: json
    url: URL
    events: [held, opened, closed]
    limit: 1000/1s
"""


class Site(NamedTuple):
    """Everything but the trainer and the person."""

    kafka: str
    gateway: str
    store: KeyStore
    people: FarEnd
    folder: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    store = KeyStore(folder / "home")
    store.new("ada", OPERATOR)
    children: list[Child] = []
    with serving() as people, own_broker(folder) as kafka:
        try:
            asyncio.run(apply(kafka)).check()
            gateway, url = start_gateway(folder / "gateway.log", kafka)
            children.append(gateway)
            (folder / "policy.yaml").write_text(POLICY)
            (folder / "hooks.yaml").write_text(HOOKS.replace("URL", people.url))
            options = ["--policy", str(folder / "policy.yaml"), "--notify", str(folder / "hooks.yaml")]
            operators = {ENV_OPERATORS: str(store.files[OPERATOR])}
            worker = Worker(kafka, folder, mode="approve", options=options, env=operators)
            children.append(worker.child)
            worker.wait_ready(150.0)
            yield Site(kafka, url, store, people, folder)
        finally:
            for child in reversed(children):
                child.kill()


def _records(
    site: Site, topic: str, run: str, wanted: Callable[[dict[str, Any]], object], count: int = 1
) -> list[Any]:
    """The first records of this run on a topic whose data are wanted."""

    def mine(record: Any) -> bool:
        event = json.loads(record.value)
        return (
            not event["type"].startswith("io.trainwarden.report")
            and event["data"].get("run") == run
            and bool(wanted(event["data"]))
        )

    return read_topic(site.kafka, topic, lambda found: len(found) >= count, mine, timeout=120)


def _trainer(site: Site, run: str) -> Child:
    script = site.folder / "trainer.py"
    script.write_text(TRAINER)
    env = {**os.environ, ENV_TRUSTED_KEYS: str(site.store.files["worker"])}
    argv = [sys.executable, str(script), run, site.gateway, f"kafka://{site.kafka}"]
    return Child(argv, site.folder / f"{run}.log", env)


def _approve_by_command(site: Site, command: str) -> None:
    argv = [sys.executable, "-m", "stream.cli", "commands", "approve", command, "--kafka", site.kafka]
    key = str(site.store.newest(OPERATOR).path)
    child = Child([*argv, "--key", key, "--wait", "60", "--reason", "fine"], site.folder / f"{command}.log")
    assert child.process.wait(120) == 0, child.log()
    assert child.log().startswith(f"approved: rollback {command} goes out to ")


def _decide_in_the_viewer(site: Site, held: dict[str, Any], verdict: str, clickhouse: str) -> str:
    """Says it on the page of the viewer's history; what the arbiter made of it."""
    run, command = held["run"], held["command"]["id"]
    intents = _records(site, topics.REMEDIATION_INTENTS, run, lambda d: d.get("decision") == "held")
    history = new_history(clickhouse)
    keep(history, [Outgoing(topics.REMEDIATION_INTENTS, record.value) for record in intents])
    key = str(site.store.newest(OPERATOR).path)
    child, url = start_viewer(site.folder / f"{run}-viewer.log", history, kafka=site.kafka, operator_key=key)
    with ending(child):
        body = json.dumps({"command": command, "verdict": verdict, "reason": "fine"}).encode()
        headers = {"Content-Type": "application/json", "X-Trainwarden": "decide", "Origin": url}
        answer = http_request("POST", f"{url}/api/decide", body, headers)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["answer"]["decision"])


def _held(site: Site, run: str) -> dict[str, Any]:
    (record,) = _records(site, topics.REMEDIATION_INTENTS, run, lambda d: d.get("decision") == "held")
    found: dict[str, Any] = json.loads(record.value)["data"]
    assert (found["action"], found["rule"]) == ("rollback", "gradient-explosion")
    return found


def _check_ledger(site: Site, command: str, verdict: str, decision: str) -> None:
    """`trainwarden commands why` tells who decided in the viewer, why, and with which key."""
    argv = [sys.executable, "-m", "stream.cli", "commands", "why", command, "--kafka", site.kafka, "--json"]
    child = Child(argv, site.folder / f"{command}-{verdict}.json")
    assert child.process.wait(120) == 0, child.log()
    told = json.loads(child.log())
    (word,) = [one for one in told["words"] if one["kind"] == verdict]
    (made,) = [one for one in told["decisions"] if one["decision"] == decision]
    for one in (word, made):
        assert one["author"].endswith("(viewer)")
        assert one["reason"] == "fine"
    assert made["key"] == site.store.newest(OPERATOR).public.id


@pytest.mark.parametrize("way", ["command", "viewer"])
def test_what_a_person_approves_is_done(site: Site, clickhouse_url: str, way: str) -> None:
    """Held, told, approved, signed, sent, done by the trainer, acknowledged; the incident closes."""
    run = f"run-{uuid.uuid4().hex[:8]}"
    trainer = _trainer(site, run)
    try:
        held = _held(site, run)
        command = held["command"]["id"]
        assert "rolled back" not in trainer.log()
        wait_for(lambda: _told(site, run) >= {"opened", "held"}, 60, "the web hook")
        if way == "command":
            _approve_by_command(site, command)
        else:
            assert _decide_in_the_viewer(site, held, "approve", clickhouse_url) == "approved"
            _check_ledger(site, command, "approve", "approved")
        trainer.wait_until(lambda: "rolled back by 0.5" in trainer.log(), "the rollback")
        (sent,) = _records(site, topics.REMEDIATION_COMMANDS, run, lambda d: d["id"] == command)
        verify(sent.value, dict(sent.headers), TrustedKeys(site.store.files["worker"]))
        acks = _records(site, topics.REMEDIATION_ACKS, run, lambda d: d["command"] == command, 4)
        states = [json.loads(one.value)["data"]["state"] for one in acks]
        assert states == ["received", "scheduled", "running", "succeeded"]
        (record,) = _records(site, topics.REMEDIATION_INTENTS, run, lambda d: d.get("decision") == "approved")
        approved = json.loads(record.value)["data"]
        assert (approved["reason"], approved["key"]) == ("fine", site.store.newest(OPERATOR).public.id)
        (record,) = _records(site, topics.REMEDIATION_INTENTS, run, lambda d: d.get("decision") == "closed")
        assert json.loads(record.value)["data"]["reason"] == "resolved"
        wait_for(lambda: _told(site, run) >= {"opened", "held", "closed"}, 60, "the web hook")
        keys = [request.headers["Idempotency-Key"] for request in site.people.requests]
        assert len(keys) == len(set(keys))
    finally:
        trainer.kill()


def test_what_a_person_rejects_in_the_viewer_is_not_done(site: Site, clickhouse_url: str) -> None:
    """The ledger has who said it and why; nothing is sent, and the trainer does nothing."""
    run = f"run-{uuid.uuid4().hex[:8]}"
    trainer = _trainer(site, run)
    try:
        held = _held(site, run)
        assert _decide_in_the_viewer(site, held, "reject", clickhouse_url) == "rejected"
        _check_ledger(site, held["command"]["id"], "reject", "rejected")
        assert "rolled back" not in trainer.log()
    finally:
        trainer.kill()


def _told(site: Site, run: str) -> set[str]:
    return {
        one["event"] for one in (request.json for request in list(site.people.requests)) if one["run"] == run
    }
