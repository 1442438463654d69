"""The demo on Apache Kafka, while the broker itself dies in the middle of a fault and comes back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.fixtures import free_port, wait_for
from tests.integration.processes import CLI, environment
from tests.kafka.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(900)]

DEMO_S = 700.0
BACK_S = 300.0


def test_the_loop_closes_over_a_restart_of_the_broker(tmp_path: Path) -> None:
    """The broker goes after step 50 of a run whose loss is NaN at 150: every link holds all the same."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    broker = ApacheKafka(folder, free_port(), free_port())
    broker.format()
    broker.start()
    out, told = tmp_path / "story.json", tmp_path / "told.log"
    argv = [
        *CLI, "demo", "--json", "--fault", "nan@150", "--steps", "300", "--kafka", broker.bootstrap,
        "--data-dir", str(tmp_path / "demo"),
    ]  # fmt: skip
    with out.open("wb") as stdout, told.open("wb") as stderr:
        demo = subprocess.Popen(argv, stdout=stdout, stderr=stderr, env=environment())
    try:
        # Every 50 steps there is a line.
        wait_for(lambda: demo.poll() is not None or "learning" in told.read_text(), DEMO_S, "the first steps")
        broker.stop()
        broker.start(BACK_S)
        demo.wait(DEMO_S)
    finally:
        demo.terminate()
        demo.wait(60)
        broker.stop()

    story = json.loads(out.read_text() or "{}")
    failed = [check for check in story.get("checks", []) if not check["ok"]]
    assert (demo.returncode, failed) == (0, []), told.read_text()
    assert story["checks"]
    print(story["timings_s"])
