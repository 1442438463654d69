"""A process' pages, as a probe and Prometheus see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures import http_request, wait_for

WAIT_S = 120.0

Sample = tuple[str, frozenset[tuple[str, str]]]


class Pages:
    """The health port of a process."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON; 0 while nothing listens."""
        try:
            answer = http_request("GET", self.url + path)
        except OSError:
            return 0, {}
        return answer.status, json.loads(answer.body)

    def samples(self) -> dict[Sample, float]:
        """What Prometheus would store; nothing while there are no metrics."""
        try:
            answer = http_request("GET", f"{self.url}/metrics")
        except OSError:
            return {}
        if answer.status != 200:
            return {}
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """One of them; 0 where it is not there."""
        return self.samples().get((name, frozenset(labels.items())), 0.0)

    def wait(self, enough: Callable[[float], object], name: str, **labels: str) -> None:
        """Until the value of a sample is such."""
        what = f"{name}{labels}"
        seen = 0.0

        def look() -> bool:
            nonlocal seen
            seen = self.value(name, **labels)
            return bool(enough(seen))

        try:
            wait_for(look, WAIT_S, what)
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}; it is {seen}; all: {self.samples()}")
