"""Settings: precedence, strict reading, clear errors; the page about them is fresh."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import emitter
from emitter._settings import SettingError, Settings, resolve, table

COMMANDS = "kafka://host:port[,host:port] or http(s)://host:port of a gateway"
ENDPOINT = "http(s)://host:port, grpc(s)://host:port, kafka://host:port[,host:port] or file:FOLDER"
PAGE = Path(__file__).parents[2] / "docs" / "emitter.md"


def test_argument_wins_over_environment_over_default() -> None:
    """Argument, then environment, then default."""
    environ = {"TRAINWARDEN_ROLE": "actor", "TRAINWARDEN_HEARTBEAT_S": "5"}

    assert resolve({"role": "critic"}, environ).role == "critic"
    assert resolve({}, environ).role == "actor"
    assert resolve({}, environ).heartbeat_s == 5.0
    assert resolve({}, {}) == Settings()


def test_empty_variable_is_not_set() -> None:
    """As OpenTelemetry has it."""
    assert resolve({}, {"TRAINWARDEN_ROLE": ""}).role == "trainer"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRAINWARDEN_LOGS", "FALSE", ("logs", False)),
        ("TRAINWARDEN_LOGS", "on", ("logs", True)),
        ("TRAINWARDEN_ALLOW", "save, pause", ("allow", ("save", "pause"))),
        ("TRAINWARDEN_ALIASES", '{"a": "loss"}', ("aliases", {"a": "loss"})),
        ("TRAINWARDEN_ENDPOINT", "http://127.0.0.1:4318/", ("endpoint", "http://127.0.0.1:4318")),
        ("TRAINWARDEN_COMMANDS", "kafka://a:1,b:2", ("commands", "kafka://a:1,b:2")),
    ],
)
def test_variables_are_read(name: str, value: str, expected: tuple[str, Any]) -> None:
    """Each kind of setting has its own form in the environment."""
    assert getattr(resolve({}, {name: value}), expected[0]) == expected[1]


@pytest.mark.parametrize(
    ("name", "value", "wish"),
    [
        ("TRAINWARDEN_LOGS", "maybe", "true or false"),
        ("TRAINWARDEN_RANK", "-1", "an integer >= 0"),
        ("TRAINWARDEN_QUEUE_SIZE", "0", "an integer > 0"),
        ("TRAINWARDEN_FLUSH_S", "nan", "a number of seconds > 0"),
        ("TRAINWARDEN_ALIASES", "{", "JSON"),
        (
            "TRAINWARDEN_ALIASES",
            "[1]",
            "a mapping of logged name to canonical name (JSON in the environment)",
        ),
        (
            "TRAINWARDEN_ENDPOINT",
            "localhost:4318",
            "http(s)://host:port, grpc(s)://host:port, kafka://host:port[,host:port] or file:FOLDER",
        ),
        ("TRAINWARDEN_COMMANDS", "kafka://host", COMMANDS),
        ("OTEL_SDK_DISABLED", "ja", "true or false"),
    ],
)
def test_bad_variable_warns_and_leaves_the_default(
    name: str, value: str, wish: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A typo in a job script does not end a training run."""
    with caplog.at_level(logging.WARNING, "emitter"):
        assert resolve({}, {name: value}) == Settings()

    assert caplog.messages[0].startswith(f"{name}: expected {wish}, got {value!r}; using the default (")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": "zero"}, "init: expected `rank` to be an integer >= 0, got 'zero'"),
        ({"rank": True}, "init: expected `rank` to be an integer >= 0, got True"),
        ({"run": ""}, "init: expected `run` to be a string that is not empty, got ''"),
        ({"logs": 1}, "init: expected `logs` to be true or false, got 1"),
        ({"flush_s": 0}, "init: expected `flush_s` to be a number of seconds > 0, got 0"),
        ({"stacks": "x"}, "init: expected `stacks` to be true or false, got 'x'"),
        ({"allow": 5}, "init: expected `allow` to be names separated by commas, or a list of them, got 5"),
        ({"endpoint": "x"}, f"init: expected `endpoint` to be {ENDPOINT}, got 'x'"),
        ({"commands": "x:1"}, f"init: expected `commands` to be {COMMANDS}, got 'x:1'"),
    ],
)  # fmt: skip
def test_bad_argument_raises(arguments: dict[str, Any], message: str) -> None:
    """The error names the argument, what was expected and what came."""
    with pytest.raises(SettingError) as raised:
        emitter.init(**arguments)

    assert str(raised.value) == message


def test_unknown_argument_is_named() -> None:
    """A misspelt setting is not swallowed."""
    with pytest.raises(SettingError, match="init: unknown argument `rnk`; known are aliases, allow,"):
        resolve({"rnk": 1}, {})


def test_page_has_every_setting() -> None:
    """The table in docs/emitter.md is the one that the settings give."""
    page = PAGE.read_text()
    found = page.split("<!-- settings -->\n")[1].split("<!-- end of settings -->")[0]

    assert found == table(), f"put this between the marks:\n{table()}"
