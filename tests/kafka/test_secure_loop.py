"""The whole loop where the broker takes nothing but TLS with a SCRAM login."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emitter.kafka.settings import PREFIX
from stream.keys import ENV_SIGNING_KEY
from tests.integration import ledger_parts as parts
from tests.integration.ledger_books import audit
from tests.integration.ledger_events import Load
from tests.integration.processes import CLI
from tests.kafka import secure_kafka
from tests.kafka.secure_kafka import PASSWORD, USER, Secure
from tests.stream.loop_rig import signing_key

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """A broker of our own, without topics; its plain listener is not used here."""
    with secure_kafka.running(tmp_path_factory.mktemp("secure")) as found:
        yield found


@pytest.fixture
def login(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that all parts read."""
    for name, value in {
        "SASL_USERNAME": USER,
        "SASL_PASSWORD": PASSWORD,
        "TLS_CA": secure.certificate,
    }.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)


def _cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *words], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def test_the_whole_loop_over_tls_with_a_login(secure: Secure, login: None, tmp_path: Path) -> None:
    """Topics, gateway, both workers, arbiter and trainers' acks; every event and decision is in history."""
    with parts.site(tmp_path, secure.sasl_tls) as site:
        load = Load("secure", time.time_ns(), runs=2, flushes=12)
        _, obeyed = asyncio.run(parts.traffic(site, load))
        audit(site.clickhouse, load, obeyed)
        doctor = _cli("doctor", "--kafka", secure.sasl_tls, "--clickhouse", site.clickhouse, "--json")
        words = ["commands", "send", load.run_ids[0], "save", "--attempt", "0", "--timeout", "0"]
        key = {ENV_SIGNING_KEY: str(signing_key(tmp_path).path)}
        sent = _cli(*words, "--kafka", secure.sasl_tls, **key)
    assert (sent.returncode, "Traceback" in sent.stderr) == (0, False), sent.stderr
    findings = json.loads(doctor.stdout)
    assert {one["check"] for one in findings} >= {"broker", "topics"}
    assert [one for one in findings if one["verdict"] == "error"] == []
    for said in (doctor, sent):
        assert PASSWORD not in said.stdout + said.stderr


@pytest.mark.parametrize(
    "words",
    [("topics", "apply"), ("worker", "--app", "loop"), ("gateway",), ("doctor",)],
    ids=["topics", "worker", "gateway", "doctor"],
)
def test_a_setting_that_cannot_be_is_one_clear_line(secure: Secure, words: tuple[str, ...]) -> None:
    """It names the variable, what was expected and what came; exit code 3."""
    said = _cli(*words, "--kafka", secure.sasl_tls, **{f"{PREFIX}TLS_CA": "/nowhere.pem"})

    expected = f"{PREFIX}TLS_CA: expected the path of a file that exists, got '/nowhere.pem'"
    assert said.returncode == 3
    assert said.stderr.strip() == f"trainwarden: {expected}"


def test_a_wrong_password_is_said(secure: Secure, login: None, tmp_path: Path) -> None:
    """A worker that the broker refuses says why, without the password."""
    words = ["worker", "--app", "loop", "--kafka", secure.sasl_tls, "--data-dir", str(tmp_path)]
    said = _cli(*words, **{f"{PREFIX}SASL_PASSWORD": "not-it"})

    assert said.returncode == 3
    assert "Authentication failed" in said.stderr
    assert "not-it" not in said.stderr
    assert "Traceback" not in said.stderr
