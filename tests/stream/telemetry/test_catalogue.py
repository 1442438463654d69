"""The list of metrics, and the page that is made from it."""

from __future__ import annotations

import re

import pytest

from stream.telemetry import page
from stream.telemetry.catalogue import METRICS, Kind, Metric


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_units_follow_opentelemetry(metric: Metric) -> None:
    """Dotted lower case, UCUM units, a meaning that is a sentence without its full stop."""
    assert re.fullmatch(r"(trainwarden|process)(\.[a-z][a-z_]*)+", metric.name)
    assert metric.unit in ("s", "By", "1") or re.fullmatch(r"\{[a-z_]+\}", metric.unit)
    assert metric.meaning[0].isupper() or metric.meaning.startswith("/")
    assert not metric.meaning.endswith(".")
    assert metric.parts
    assert (metric.unit == "s") or metric.kind is not Kind.histogram
    assert all(re.fullmatch(r"[a-z]+(\.[a-z]+)?", name) for name in metric.attributes)


def test_no_name_is_given_twice() -> None:
    """Also not once Prometheus has joined words by underscores."""
    assert len({metric.name.replace(".", "_") for metric in METRICS}) == len(METRICS)


def test_the_page_has_the_list_as_it_is() -> None:
    """`python -m stream.telemetry.page` was run."""
    text = page.PAGE.read_text()
    assert page.written(text) == text
    with pytest.raises(ValueError, match="expected the marks"):
        page.written("no marks")
