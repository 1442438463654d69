"""The keys of a local stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from emitter.signing import TrustedKeys
from emitter.vocabulary import stack as discovery
from stream.datadir import DataDir
from stream.keys import OPERATOR, KeyStore, Signer, embedded


def test_keys_are_made_once_and_trusted(tmp_path: Path) -> None:
    """A second start finds those of the first; what somebody revoked stays revoked."""
    first = embedded.ensure(tmp_path)
    assert embedded.ensure(tmp_path) == first
    worker = Signer.load(Path(first["TRAINWARDEN_SIGNING_KEY"]))
    assert [key.id for key in TrustedKeys(first["TRAINWARDEN_TRUSTED_KEYS"]).all()] == [worker.key_id]

    Path(first["TRAINWARDEN_TRUSTED_KEYS"]).write_text("")
    assert embedded.ensure(tmp_path) == first
    assert TrustedKeys(first["TRAINWARDEN_TRUSTED_KEYS"]).all() == []


def test_people_on_this_machine_find_the_operators_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running local stack names its keys in stack.json."""
    monkeypatch.delenv("TRAINWARDEN_OPERATOR_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path))
    data = DataDir(tmp_path)
    data.acquire()
    data.announce({}, {}, embedded.by_name(embedded.ensure(tmp_path)))
    found = discovery.read_stack()
    assert found is not None
    assert found["trusted_keys"] == str(tmp_path / "trusted_keys")
    assert Signer.load(role=OPERATOR, local=True).key_id == KeyStore(tmp_path).newest(OPERATOR).public.id
    data.release()
