"""What is said of keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from emitter.signing import trusted_keys_path
from stream.doctor import Verdict, keys
from stream.keys import OPERATOR, KeyStore


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user without keys and without a stack."""
    for name in ("SIGNING_KEY", "OPERATOR_KEY", "TRUSTED_KEYS", "OPERATORS"):
        monkeypatch.delenv(f"TRAINWARDEN_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path / "no-stack"))


def test_nobody_can_sign() -> None:
    """Not an error on a machine that has no need to; both cures are named."""
    found = keys.look(None)
    assert [one.verdict for one in found] == [Verdict.warning, Verdict.warning]
    assert [one.cure.split(",")[0] for one in found] == [
        "`trainwarden keys new`", "`trainwarden keys new --operator`",
    ]  # fmt: skip


def test_keys_and_who_trusts_them() -> None:
    """A pair that fits; one that nobody trusts; one that others may read."""
    key = KeyStore().new("main")
    KeyStore().new("me", OPERATOR)
    assert [one.verdict for one in keys.look(None)] == [Verdict.ok, Verdict.ok]
    trusted_keys_path().write_text("")
    worker, operator = keys.look(None)
    assert (worker.verdict, operator.verdict) == (Verdict.error, Verdict.ok)
    assert (
        worker.said == f"workers sign with main ({key.public.id}), which {trusted_keys_path()} does not hold"
    )
    key.path.chmod(0o644)
    assert "others may read or write this private key" in keys.look(None)[0].said
