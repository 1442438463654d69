"""Looks at what the parts of a local stack say of themselves."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from emitter.vocabulary import stack as discovery
from stream.doctor.finding import Finding, error, ok

CHECK: Final = "parts"
_TIMEOUT_S: Final = 10.0
_LAG: Final = "trainwarden_consumer_lag"
_BEHIND: Final = "trainwarden_consumer_behind_seconds"
# A proxy of the environment must not stand between us and our own loopback.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def look(stack: Mapping[str, Any]) -> Iterator[Finding]:
    """One line where all is well, else one for each part that is not; none for a stack that says nothing."""
    places = stack.get(discovery.HEALTH)
    if not isinstance(places, dict):
        return
    bad = [found for name, url in places.items() if (found := _trouble(name, url)) is not None]
    yield from bad or [ok(CHECK, f"all {len(places)} are ready{_lags(places)}")]


def _trouble(name: str, url: str) -> Finding | None:
    for path, word, cure in (
        ("/healthz", "stuck", "restart it; its log says what it did last"),
        ("/readyz", "not ready", "see its log, under `logs` in the data directory"),
    ):
        try:
            _get(url + path)
        except urllib.error.HTTPError as refused:
            return error(CHECK, f"{name} is {word}: {_reason(refused)}", cure)
        except OSError as problem:
            return error(CHECK, f"{name} does not answer: {getattr(problem, 'reason', problem)}", cure)
    return None


def _reason(refused: urllib.error.HTTPError) -> str:
    with refused:
        try:
            page = json.load(refused)
            return str(page.get("reason") or page["problem"])
        except (ValueError, KeyError, AttributeError):
            return f"{refused.code} {refused.reason}"


def _lags(places: Mapping[str, str]) -> str:
    """How far the workers are behind, where they say so."""
    return "".join(_lag(name, url) for name, url in places.items() if name.startswith("worker-"))


def _lag(name: str, url: str) -> str:
    try:
        text = _get(f"{url}/metrics").decode()
    except OSError:
        return ""
    found = {family.name: family.samples for family in text_string_to_metric_families(text)}
    if _LAG not in found:
        return ""
    records = sum(sample.value for sample in found[_LAG])
    seconds = max((sample.value for sample in found.get(_BEHIND, ())), default=0.0)
    return f"; {name}: {records:.0f} records before it, {seconds:.1f} s behind"


def _get(url: str) -> bytes:
    with _opener.open(url, timeout=_TIMEOUT_S) as answer:
        return bytes(answer.read())
