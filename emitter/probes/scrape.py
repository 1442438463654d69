"""Prometheus text endpoints (dcgm-exporter, XPUTimer, node-exporter) -> events ``metric``."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

from emitter._guard import logger
from emitter.probes.exposition import BadLineError, Sample, parse
from emitter.vocabulary import attributes, events

MOST_BYTES: Final = 4 << 20
MOST_SAMPLES: Final = 2000
"""Of one answer; more are counted and left out."""
BREATH: Final = 16
"""Samples after which other threads may have the interpreter: the trainer is to wait for few of them."""
PATIENCE_S: Final = 10.0
"""For one answer, whole."""
ACCEPT: Final = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.1"
_OWN: Final = ("python_", "process_", "go_", "promhttp_", "http_")
"""What exporters say of themselves."""
_POINT: Final = frozenset({"value", "count", "sum", "min", "max"})
_TAKEN: Final = _POINT | attributes.RECORD_ATTRIBUTES | {events.METRIC_NAME}
_CHUNK: Final = 65536
_BAD: Final = (OSError, http.client.HTTPException, ValueError)

Offer = Callable[[dict[str, Any]], None]
"""Takes the values of one event ``metric``."""


class Scrape:
    """``turn`` asks one endpoint and offers its samples; ``keep`` are patterns of names, all without any."""

    def __init__(
        self,
        url: str,
        offer: Offer,
        keep: tuple[str, ...] = (),
        told: Callable[[str], None] = lambda trouble: None,
    ) -> None:
        self._url, self._offer, self._keep, self._told = url, offer, keep, told
        parts = urlsplit(url)
        self.target = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        # Not through a proxy: exporters are on this node or beside it.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._works: bool | None = None
        self.left_out = 0
        self.bad_lines = 0

    def turn(self) -> None:
        """One pull; trouble is told once, until it works again."""
        try:
            text = self._pull()
        except _BAD as error:
            self._failed(error)
            return
        if self._works is False:
            logger.info("%s answers again", self.target)
        self._works = True
        self._send(text)

    def _send(self, text: str) -> None:
        sent = 0
        for found in self._kept(text):
            if sent >= MOST_SAMPLES:
                if self.left_out == 0:
                    logger.warning(
                        "%s: more than %d samples in an answer, the rest is left out; name those to keep in "
                        "TRAINWARDEN_SCRAPE_KEEP or init(scrape_keep=...)", self.target, MOST_SAMPLES,
                    )  # fmt: skip
                self.left_out += 1
            else:
                sent += 1
                self._offer(_values(found))
                if sent % BREATH == 0:
                    time.sleep(0)

    def _kept(self, text: str) -> Iterator[Sample]:
        for found in parse(text):
            if isinstance(found, BadLineError):
                self.bad_lines += 1
                if self.bad_lines == 1:
                    logger.warning("%s: %s; this line and others like it are left out", self.target, found)
            elif self._wanted(found.name):
                yield found

    def _wanted(self, name: str) -> bool:
        if name.endswith("_bucket"):
            return False
        if self._keep:
            return any(fnmatchcase(name, pattern) for pattern in self._keep)
        return not name.startswith(_OWN)

    def _pull(self) -> str:
        end = time.monotonic() + PATIENCE_S
        request = urllib.request.Request(self._url, headers={"Accept": ACCEPT})
        data = bytearray()
        with self._open(request, timeout=PATIENCE_S) as answer:
            while chunk := answer.read1(_CHUNK):
                data += chunk
                if len(data) > MOST_BYTES:
                    raise ValueError(f"expected at most {MOST_BYTES} bytes")
                if time.monotonic() > end:
                    raise TimeoutError(f"the answer was not complete after {PATIENCE_S:g} s")
        return data.decode("utf-8", "replace")

    def _failed(self, error: Exception) -> None:
        if self._works is not False:
            logger.warning("%s cannot be pulled: %s; trying again and again, in silence", self.target, error)
            self._told(f"{self.target}: {error}")
        self._works = False


def _values(found: Sample) -> dict[str, Any]:
    """As ingest makes them of an OTLP data point: attributes beside the value, under the point's names."""
    labels = {
        (f"attributes.{name}" if name in _TAKEN else name): value for name, value in found.labels.items()
    }
    return {**labels, events.METRIC_NAME: found.name, "value": found.value}
