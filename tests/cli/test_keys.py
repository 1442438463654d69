"""``trainwarden keys`` as a user meets it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emitter.signing import TrustedKeys
from stream import cli
from stream.keys import KeyFileError


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user without any key."""
    for name in list(os.environ):
        if name.startswith("TRAINWARDEN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "trainwarden"


def keys(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli.app, ["keys", *arguments], catch_exceptions=False)


def test_new_prints_the_line_and_where_it_goes(home: Path) -> None:
    """The line alone on stdout, so that a script can append it; the rest on stderr."""
    result = keys("new", "cluster")
    assert result.exit_code == 0
    (trusted,) = TrustedKeys(home / "trusted_keys").all()
    assert result.stdout == trusted.line() + "\n"
    assert result.stdout.startswith("ed25519 ")
    assert result.stdout.endswith(" cluster\n")
    assert "(TRAINWARDEN_TRUSTED_KEYS, else ~/.config/trainwarden/trusted_keys)" in result.stderr
    assert f"key id {trusted.id}" in result.stderr
    assert stat.S_IMODE((home / "keys" / "cluster.pem").stat().st_mode) == 0o600


def test_operators_key_goes_to_the_operators(home: Path) -> None:
    """It is named after the person and the machine, and commands no trainer."""
    result = keys("new", "--operator", "--json")
    made = json.loads(result.stdout)
    assert (made["role"], "@" in made["name"]) == ("operator", True)
    assert [key.id for key in TrustedKeys(home / "operators").all()] == [made["id"]]
    assert TrustedKeys(home / "trusted_keys").all() == []


def test_list_shows_who_is_trusted(home: Path) -> None:
    """As a table and as JSON: own keys, revoked ones, and those of others."""
    keys("new", "a")
    keys("new", "b", "--operator")
    keys("new", "c")
    keys("revoke", "c")
    elsewhere = "ed25519 " + "A" * 43 + "= elsewhere"
    with (home / "trusted_keys").open("a") as file:
        file.write(elsewhere + "\n")
    table = keys("list").stdout
    rows = [line.split() for line in table.splitlines()]
    assert rows[0][:3] == ["id", "name", "role"]
    assert {(row[1], row[2]) for row in rows[1:]} == {
        ("a", "worker"), ("b", "operator"), ("c", "worker"), ("elsewhere", "worker"),
    }  # fmt: skip
    assert "revoked" in next(line for line in table.splitlines() if " c " in line)

    found = {one["name"]: one for one in json.loads(keys("list", "--json").stdout)}
    assert [found[name]["trusted"] for name in ("a", "b", "c", "elsewhere")] == [True, True, False, True]
    assert (found["c"]["revoked"], found["elsewhere"]["path"]) == (True, None)


def test_list_says_when_nobody_is_trusted(home: Path) -> None:
    """No file, no trust."""
    result = keys("list")
    assert result.exit_code == 0
    assert f"workers are trusted by {home / 'trusted_keys'}, which does not exist: nobody is" in result.stderr


def test_rotate_says_what_to_do_in_which_order(home: Path) -> None:
    """New line everywhere, restart, revoke; until then both are trusted."""
    keys("new", "cluster")
    result = keys("rotate")
    old, new = TrustedKeys(home / "trusted_keys").all()
    assert (old.name, new.name, result.stdout) == ("cluster", "cluster-2", new.line() + "\n")
    steps = [line[:2] for line in result.stderr.splitlines() if line[:1].isdigit()]
    assert steps == ["1.", "2.", "3."]
    assert "trainwarden keys revoke cluster\n" in result.stderr

    revoked = keys("revoke", "cluster")
    assert "no file here trusts it any more" in revoked.stderr
    assert TrustedKeys(home / "trusted_keys").all() == [new]


def test_keys_of_a_stack(home: Path, tmp_path: Path) -> None:
    """They live in its data directory; the user's own are left alone."""
    keys("new", "mine", "--stack", "--data-dir", str(tmp_path / "data"))
    assert (tmp_path / "data" / "keys" / "mine.pem").exists()
    assert not home.exists()
    wrong = keys("new", "mine", "--data-dir", str(tmp_path / "data"))
    assert (wrong.exit_code, "give --stack, too" in wrong.stderr) == (2, True)


def test_what_cannot_be_done_is_said_in_one_line(home: Path) -> None:
    """Unknown keys, names that are taken, nothing to rotate."""
    with pytest.raises(KeyFileError, match="no such key; `trainwarden keys list` shows those that are known"):
        keys("revoke", "nobody")
    with pytest.raises(KeyFileError, match="no worker's key; make one with `trainwarden keys new`"):
        keys("rotate")
    keys("new", "a")
    with pytest.raises(KeyFileError, match="a key of this name exists"):
        keys("new", "a")
