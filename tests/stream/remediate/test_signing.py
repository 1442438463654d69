"""Commands leave signed or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from emitter.signing import TrustedKeys, verify
from emitter.vocabulary import topics
from emitter.vocabulary.commands import Command
from stream.keys import WORKER, KeyStore, Signer
from stream.remediate import decisions
from stream.remediate.decisions import Decision

NOW = "2026-01-01T00:00:00.000000Z"


def decided(what: str) -> Decision:
    """A decision about a command."""
    return Decision(f"c/{what}", what, "run", 0, 10**18, command=Command("c", "run", "stop", NOW, NOW))


def test_what_is_sent_is_signed(tmp_path: Path) -> None:
    """The command goes first, its headers fit its bytes; the ledger follows."""
    store = KeyStore(tmp_path)
    signer = Signer(store.new("a"))
    for what in (decisions.SENT, decisions.RESENT):
        command, ledger = decisions.records(decided(what), signer.headers)
        assert (command.topic, ledger.topic) == (topics.REMEDIATION_COMMANDS, topics.REMEDIATION_INTENTS)
        trusted = TrustedKeys(store.files[WORKER])
        assert verify(command.value, dict(command.headers), trusted) == signer.key_id


def test_without_a_key_nothing_is_sent_and_the_ledger_says_so() -> None:
    """The decision is on record as held, with what helps."""
    (ledger,) = decisions.records(decided(decisions.SENT), None)
    data = json.loads(ledger.value)["data"]
    assert (ledger.topic, data["decision"]) == (topics.REMEDIATION_INTENTS, "held")
    assert data["reason"].startswith("no signing key; make one with `trainwarden keys new`")


def test_other_decisions_need_no_key() -> None:
    """They are on record as they are."""
    (ledger,) = decisions.records(decided(decisions.SHADOW), None)
    assert json.loads(ledger.value)["data"]["decision"] == "shadow"
