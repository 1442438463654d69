"""Alertmanager: alerts for its API (POST /api/v2/alerts), or what it would post to a receiver (version 4).

Sources: https://prometheus.io/docs/alerting/latest/alerts_api,
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.

An incident is one alert: its labels stay as they were first told, since another label is another alert.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.notify.config import Hook
from stream.notify.notice import CLOSED, SUMMARY, TEST, Notice
from stream.notify.templates.post import Post

OPEN_FOR_S: Final = 4 * 3600
"""An alert whose end was never told ends by itself then."""
REMEMBERED: Final = 10_000
_NEVER: Final = "0001-01-01T00:00:00Z"


class Alerts:
    """A list with one alert, for ``/api/v2/alerts``."""

    def __init__(self, hook: Hook) -> None:
        self._told: OrderedDict[str, dict[str, str]] = OrderedDict()

    def write(self, notice: Notice, now_s: float) -> Post:
        """The request."""
        return Post(cloudevents.dumps([self._alert(notice, now_s)]).encode())

    def check(self, body: bytes) -> None:
        """It answers 200 with nothing."""

    def _labels(self, notice: Notice) -> dict[str, str]:
        if notice.incident is None:
            return labels_of(notice)
        known = self._told.setdefault(notice.incident, labels_of(notice))
        self._told.move_to_end(notice.incident)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return known

    def _alert(self, notice: Notice, now_s: float) -> dict[str, Any]:
        ended = notice.event in (CLOSED, SUMMARY, TEST)
        end_ns = int(now_s * 1e9) if ended else int((now_s + OPEN_FOR_S) * 1e9)
        alert: dict[str, Any] = {
            "labels": self._labels(notice),
            "annotations": annotations_of(notice),
            "endsAt": cloudevents.rfc3339(end_ns),
        }
        # A start after the end is refused, and an alert that goes on began before this notice.
        return alert if ended else {**alert, "startsAt": notice.time}


class Webhook(Alerts):
    """A group of one alert, as Alertmanager's own web hooks post it."""

    def write(self, notice: Notice, now_s: float) -> Post:
        """The request."""
        ended = notice.event == CLOSED
        alert = self._alert(notice, now_s)
        status = "resolved" if ended else "firing"
        text = "\xff".join(f"{name}\xff{value}" for name, value in sorted(alert["labels"].items()))
        fingerprint = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        group = {"alertname": alert["labels"]["alertname"]}
        data = {
            "version": "4",
            "groupKey": f'{{}}:{{alertname="{group["alertname"]}", incident="{notice.incident or ""}"}}',
            "truncatedAlerts": 0,
            "status": status,
            "receiver": "trainwarden",
            "groupLabels": group,
            "commonLabels": alert["labels"],
            "commonAnnotations": alert["annotations"],
            "externalURL": "",
            "alerts": [
                {
                    **alert,
                    "status": status,
                    "startsAt": notice.time,
                    "endsAt": alert["endsAt"] if ended else _NEVER,
                    "generatorURL": "",
                    "fingerprint": fingerprint,
                }
            ],
        }
        return Post(cloudevents.dumps(data).encode())


def labels_of(notice: Notice) -> dict[str, str]:
    """What tells one alert from another; empty ones are left out, as Alertmanager does."""
    found = {
        "alertname": notice.rule or f"trainwarden-{notice.event}",
        "severity": notice.severity,
        "run": notice.run,
        "attempt": str(notice.attempt) if notice.run else "",
        "incident": notice.incident,
        "service": "trainwarden",
    }
    return {name: value for name, value in found.items() if value}


def annotations_of(notice: Notice) -> dict[str, str]:
    """What is said about it now."""
    found = {
        "title": notice.title,
        "summary": notice.summary,
        "cure": notice.cure,
        "held_back": str(notice.held_back) if notice.held_back else "",
    }
    return {name: value for name, value in found.items() if value}
