"""Commands leave signed or not at all."""

from __future__ import annotations

from pathlib import Path

from emitter.signing import TrustedKeys, verify
from emitter.vocabulary import commands, topics
from stream.keys import WORKER, KeyStore, Signer
from stream.records import Incoming, Outgoing
from stream.remediate.decisions import Sign
from stream.remediate.holder import Holder
from stream.remediate.settings import Settings
from tests.stream.remediate.scenes import Scene, log_record


def _written(scene: Scene, sign: Sign | None) -> list[Outgoing]:
    """What a worker with this key writes when it reads the log of the scene."""
    holder = Holder(Settings(mode="act"), sign, lambda: scene.wall_ns)
    holder.begin([], keep_breaker=False)
    records = [
        Incoming(topics.REMEDIATION_INTENTS, 0, offset, log_record(report))
        for offset, report in enumerate(scene.log)
    ]
    return [out for record in records for out in holder.intent(record)]


def test_what_is_sent_is_signed_also_when_it_is_sent_again(tmp_path: Path) -> None:
    """The headers fit the bytes, and the same command has the same bytes."""
    store = KeyStore(tmp_path)
    signer = Signer(store.new("a"))
    scene = Scene()
    scene.fire()
    scene.tick(30)
    written = [out for out in _written(scene, signer.headers) if out.topic == topics.REMEDIATION_COMMANDS]
    assert len(written) == 2
    assert written[0] == written[1]
    assert (
        verify(written[0].value, dict(written[0].headers), TrustedKeys(store.files[WORKER])) == signer.key_id
    )
    assert commands.decode_command(written[0].value) == scene.sent[0]


def test_a_worker_without_a_key_writes_no_command() -> None:
    """Whatever the log says."""
    scene = Scene()
    scene.fire()
    assert {out.topic for out in _written(scene, None)} == {topics.REMEDIATION_INTENTS}


def test_without_a_key_the_ledger_says_what_helps() -> None:
    """The action has failed, and a person is told how to make a key."""
    scene = Scene(can_sign=False)
    scene.fire()
    assert scene.story() == ["opened", "failed save", "escalated", "notified"]
    assert str(scene.made[1].reason).startswith("no signing key; make one with `trainwarden keys new`")


def test_an_expired_command_is_not_written() -> None:
    """A log that is read late leads to decisions, not to commands that nobody could obey."""
    scene = Scene()
    scene.fire()
    scene.wall_ns += 3600 * 10**9
    assert scene.sent
    written = _written(scene, lambda value: [])
    assert {out.topic for out in written} == {topics.REMEDIATION_INTENTS}
