"""The file of web hooks: what it may say, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.notify import config
from stream.notify.errors import ConfigError
from stream.notify.notice import Notice

FULL = """\
hooks:
  - name: ops
    kind: slack
    url: ${SLACK_URL}
    events: [notified, held]
    severity: warning
    rules: ["grad-*", nan-loss]
    runs: ["gpt-*"]
    limit: 5/10s
    timeout: 2s
    give_up: 1m
    max_age: 1h
  - name: bot
    kind: feishu
    url: https://open.example/hook/${TOKEN}
    secret: ${SECRET}
    headers: {Authorization: "Bearer ${TOKEN}"}
"""
ENVIRONMENT = {"SLACK_URL": "https://slack.example/T/B/x", "TOKEN": "t0k", "SECRET": "s3c"}


def _load(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> list[config.Hook]:
    path = tmp_path / "hooks.yaml"
    path.write_text(text)
    return config.load(path, ENVIRONMENT if environment is None else environment)


def test_a_full_file(tmp_path: Path) -> None:
    """Every key arrives, with the environment's secrets in their places and out of what is printed."""
    ops, bot = _load(tmp_path, FULL)
    assert (ops.name, ops.kind, ops.url, ops.events) == (
        "ops", "slack", "https://slack.example/T/B/x", ("notified", "held"),
    )  # fmt: skip
    assert (ops.severity, ops.rules, ops.runs, ops.limit) == (
        "warning", ("grad-*", "nan-loss"), ("gpt-*",), (5, 10.0),
    )  # fmt: skip
    assert (ops.timeout_s, ops.give_up_s, ops.max_age_s, ops.host) == (2.0, 60.0, 3600.0, "slack.example")
    assert (bot.url, bot.secret) == ("https://open.example/hook/t0k", "s3c")
    assert bot.headers == {"Authorization": "Bearer t0k"}
    assert bot.events == ("notified", "held", "breaker")
    for secret in ("T/B/x", "t0k", "s3c"):
        assert secret not in repr((ops, bot))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hooks: 3", "hooks.yaml:1:8: expected `hooks` to be a list of hooks, got the number 3"),
        ("", "hooks.yaml:1:1: expected a mapping with `hooks`, got nothing"),
        ("hoks: []", 'the file has no `hoks`; did you mean "hooks"?'),
        ("hooks: [x]", 'hooks.yaml:1:9: expected a hook as a mapping, got "x"'),
        ("hooks:\n  - name: a\n    kind: slak\n    url: http://h", 'got "slak"; did you mean "slack"?'),
        ("hooks:\n  - name: a\n    url: http://h", "hooks.yaml:2:5: a hook needs `kind`"),
        ("hooks:\n  - kind: json\n    url: http://h", "hooks.yaml:2:5: a hook needs `name`"),
        ("hooks:\n  - name: a\n    kind: json\n    url: ${SLACK_ULR}",
         "hooks.yaml:4:10: expected the environment variable SLACK_ULR to be set, it is not; did you mean"
         ' "SLACK_URL"?'),
        ("hooks:\n  - name: a\n    kind: json\n    url: ftp://x",
         'hooks.yaml:4:10: expected `url` to be http(s)://HOST[:PORT]/..., got "ftp://x"'),
        ("hooks:\n  - name: a\n    kind: json\n    url: ${SECRET}", "got another text from ${SECRET}"),
        ("hooks:\n  - name: a\n    kind: slack\n    url: http://h\n    secret: x",
         "hooks.yaml:5:13: a hook of kind slack has no `secret`; only json, feishu, lark sign"),
        ("hooks:\n  - name: a\n    kind: json\n    url: http://h\n    limit: 5 a minute",
         'expected `limit` such as "20/1m" (at most 20 in a minute), got "5 a minute"'),
        ("hooks:\n  - name: a\n    kind: json\n    url: http://h\n    events: [opend]",
         'got "opend"; did you mean "opened"?'),
        ("hooks:\n  - name: a\n    kind: json\n    url: http://h\n    ca: /nowhere.pem",
         "expected `ca` to be a file of certificates (PEM), got /nowhere.pem"),
        ("hooks:\n  - {name: a, kind: json, url: 'http://h'}\n  - {name: a, kind: json, url: 'http://h'}",
         'hooks.yaml:2:3: two hooks have the name "a"'),
        ("hooks: [", "not YAML"),
    ],
)  # fmt: skip
def test_mistakes_have_a_place_and_a_cure(tmp_path: Path, text: str, message: str) -> None:
    """One line for each, with file and line."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    assert message in str(caught.value)
    assert "s3c" not in str(caught.value)


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    """Three secrets that are missing are three lines."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, FULL, {"PATH": "/bin"})
    lines = str(caught.value).splitlines()
    assert [line.split("hooks.yaml:")[1].split(":")[0] for line in lines] == ["4", "15", "16", "17"]


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """Its name, and why."""
    with pytest.raises(ConfigError, match=r"gone\.yaml: expected a file of web hooks, got: No such file"):
        config.load(tmp_path / "gone.yaml", {})


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"event": "opened"}, False),
        ({"severity": "critical"}, True),
        ({"severity": "info"}, False),
        ({"severity": None}, True),
        ({"rule": "loss-spike"}, False),
        ({"rule": None}, True),
        ({"run": "other"}, False),
        ({"run": "r-17", "run_name": "gpt-7"}, True),
        ({"run": "", "rule": None}, True),
    ],
)
def test_filters(tmp_path: Path, changes: dict[str, str], wanted: bool) -> None:
    """A hook gets what it asked for; what a notice does not say is not held against it."""
    ops, _ = _load(tmp_path, FULL)
    known = {"event": "notified", "severity": "warning", "rule": "grad-spike", "run": "gpt-1"}
    notice = Notice(id="x", time="2026-01-01T00:00:00Z", summary="s", **{**known, **changes})  # type: ignore[arg-type]
    assert ops.wants(notice) is wanted
