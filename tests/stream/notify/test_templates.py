"""What each kind of far end is sent, against the shapes their makers publish."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from stream.notify import templates
from stream.notify.config import KINDS, Hook
from stream.notify.errors import LaterError, RefusedError
from stream.notify.notice import EVENTS, Notice
from stream.notify.templates import feishu, slack

NOW = 1_790_000_000.4
NOTICE = Notice(
    id="c1/held",
    event="held",
    time="2026-01-01T00:00:00.000000Z",
    summary='Loss is <NaN> & "gone"',
    run="gpt-7",
    attempt=1,
    severity="critical",
    rule="nan-loss",
    action="rollback",
    command="c1",
    incident="i1",
    held_back=3,
)

# https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml, postableAlerts.
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
POSTABLE = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {
            "labels": {**LABELS, "required": ["alertname"]},
            "annotations": LABELS,
            "startsAt": {"type": "string", "format": "date-time"},
            "endsAt": {"type": "string", "format": "date-time"},
            "generatorURL": {"type": "string"},
        },
    },
}
# https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
WEBHOOK = {
    "type": "object",
    "required": [
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
        "commonAnnotations", "externalURL", "alerts",
    ],
    "properties": {
        "version": {"const": "4"},
        "groupKey": {"type": "string"},
        "truncatedAlerts": {"type": "integer"},
        "status": {"enum": ["firing", "resolved"]},
        "groupLabels": LABELS,
        "commonLabels": LABELS,
        "commonAnnotations": LABELS,
        "alerts": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": [
                    "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"
                ],
                "properties": {"status": {"enum": ["firing", "resolved"]}, "labels": LABELS},
            },
        },
    },
}  # fmt: skip


def _hook(kind: str, **more: Any) -> Hook:
    return Hook("test", kind, "http://127.0.0.1/", **more)


def _write(kind: str, notice: Notice, **more: Any) -> Any:
    return json.loads(templates.of(_hook(kind, **more)).write(notice, NOW).body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("event", [*EVENTS, "held_back", "test"])
def test_every_event_has_words_everywhere(kind: str, event: str) -> None:
    """Bare notices, too: no run, no rule, no summary."""
    for notice in (replace(NOTICE, event=event), Notice("x", event, NOTICE.time, "")):
        assert _write(kind, notice)
        assert notice.title


def test_generic_json_is_the_notice() -> None:
    """All of it, a headline, what to type, and a signature where there is a secret."""
    post = templates.of(_hook("json", secret="s3c")).write(NOTICE, NOW)
    data = json.loads(post.body)
    assert data["title"] == "rollback waits for approval on gpt-7"
    assert data["cure"] == "trainwarden commands approve c1"
    assert {name: data[name] for name in ("id", "event", "run", "attempt", "held_back")} == {
        "id": "c1/held", "event": "held", "run": "gpt-7", "attempt": 1, "held_back": 3,
    }  # fmt: skip
    expected = hmac.new(b"s3c", post.body, hashlib.sha256).hexdigest()
    assert post.headers == {"X-Trainwarden-Signature-256": f"sha256={expected}"}
    assert not templates.of(_hook("json")).write(NOTICE, NOW).headers


def test_slack_blocks() -> None:
    """A header in plain text, sections in its markup with the three characters escaped."""
    data = _write("slack", NOTICE)
    assert set(data) == {"text", "blocks"}
    head, what, cure, context = data["blocks"]
    assert head == {
        "type": "header",
        "text": {"type": "plain_text", "text": "rollback waits for approval on gpt-7"},
    }
    assert what["text"] == {"type": "mrkdwn", "text": ':red_circle: Loss is &lt;NaN&gt; &amp; "gone"'}
    assert cure["text"]["text"] == "`trainwarden commands approve c1`"
    assert context["elements"][0]["text"].endswith("3 more held back")
    assert slack.escape("<!channel>") == "&lt;!channel&gt;"


@pytest.mark.parametrize("kind", ["slack", "feishu"])
def test_long_words_are_cut_to_what_the_far_end_takes(kind: str) -> None:
    """150 characters of a header, 3000 of a section, 20 kB in all for Feishu."""
    notice = replace(NOTICE, summary="€" * 50_000, run="r" * 500)
    if kind == "slack":
        blocks = _write("slack", notice)["blocks"]
        assert len(blocks[0]["text"]["text"]) == 150
        assert max(len(block["text"]["text"]) for block in blocks[1:3]) <= 3000
    assert len(templates.of(_hook("feishu", secret="s")).write(notice, NOW).body) <= feishu.MAX_BYTES


def test_feishu_signs_as_its_documentation_says() -> None:
    """HMAC-SHA256 of nothing under ``timestamp\\nsecret``, in base64, with the second of the try."""
    data = _write("feishu", NOTICE, secret="demo")
    key = f"{int(NOW)}\ndemo".encode()
    assert data["timestamp"] == "1790000000"
    assert data["sign"] == base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()
    assert data["msg_type"] == "interactive"
    assert data["card"]["header"]["template"] == "red"
    assert "sign" not in _write("lark", NOTICE)


def test_feishu_signature_of_a_known_second() -> None:
    """Computed with openssl: dgst -sha256 -hmac $'1599360473\\ndemo' -binary, over nothing."""
    assert feishu.sign(1_599_360_473, "demo") == OPENSSL


OPENSSL = "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b'{"code":0,"msg":"success","data":{}}', None, ""),
        (b'{"Extra":null,"StatusCode":0,"StatusMessage":"success"}', None, ""),
        (b'{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}',
         RefusedError, "code 19021: sign match fail .*; check the hook's `secret` and this machine's clock"),
        (b'{"code":19024,"msg":"Key Words Not Found"}', RefusedError, "add Trainwarden to its key words"),
        (b'{"code":9499,"msg":"Bad Request"}', RefusedError, "code 9499: Bad Request"),
        (b'{"code":11232,"msg":"frequency limited"}', LaterError, "code 11232"),
        (b"<html>", RefusedError, 'expected an answer with a "code"'),
        (b'{"code":null}', RefusedError, 'expected an answer with a "code"'),
    ],
)  # fmt: skip
def test_feishu_answers(body: bytes, error: type[Exception] | None, words: str) -> None:
    """Its status is 200 whatever happened; the code says what."""
    template = templates.of(_hook("feishu"))
    if error is None:
        template.check(body)
        return
    with pytest.raises(error, match=words):
        template.check(body)


def test_alertmanager_takes_it() -> None:
    """A list of one alert in the shape of its OpenAPI document; labels without empty values."""
    data = _write("alertmanager", NOTICE)
    jsonschema.validate(data, POSTABLE)
    assert data[0]["labels"] == {
        "alertname": "nan-loss", "severity": "critical", "run": "gpt-7", "attempt": "1", "incident": "i1",
        "service": "trainwarden",
    }  # fmt: skip
    assert data[0]["annotations"]["cure"] == "trainwarden commands approve c1"
    assert data[0]["startsAt"] == NOTICE.time


def test_an_incident_is_one_alert_from_its_opening_to_its_end() -> None:
    """Other rules and severities on the way change no label; its end resolves the same alert."""
    template = templates.of(_hook("alertmanager"))
    told = [
        json.loads(template.write(replace(NOTICE, event=event, rule=rule, severity=None), NOW).body)[0]
        for event, rule in (("opened", "nan-loss"), ("failed", "grad-spike"), ("closed", None))
    ]
    assert told[0]["labels"] == told[1]["labels"] == told[2]["labels"]
    assert told[0]["endsAt"] > told[2]["endsAt"] == "2026-09-21T14:13:20.400000Z"
    assert "startsAt" not in told[2]
    other = json.loads(template.write(replace(NOTICE, incident="i2"), NOW).body)[0]
    assert other["labels"] != told[0]["labels"]


def test_alertmanagers_own_web_hook() -> None:
    """Version 4: a group of one alert, the same fingerprint when it is resolved."""
    firing, resolved = (_write("alertmanager-webhook", replace(NOTICE, event=e)) for e in ("held", "closed"))
    for data in (firing, resolved):
        jsonschema.validate(data, WEBHOOK)
    assert (firing["status"], resolved["status"]) == ("firing", "resolved")
    assert firing["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert firing["alerts"][0]["fingerprint"] == resolved["alerts"][0]["fingerprint"]
    assert firing["groupKey"] == resolved["groupKey"]
