"""The text formats of exporters, held against prometheus_client's own writers and readers."""

from __future__ import annotations

import math
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from emitter.probes.exposition import BadLineError, Sample, parse, sample

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
LABELS = st.dictionaries(
    NAMES.filter(lambda name: not name.startswith("__") and name not in ("le", "quantile")),
    st.text(max_size=8).filter(lambda text: text.isprintable() or "\n" in text or '"' in text),
    max_size=3,
)  # fmt: skip
VALUES = st.floats(allow_nan=True, allow_infinity=True)


def registry(name: str, labels: dict[str, str], value: float) -> prometheus_client.CollectorRegistry:
    """One gauge, counter, summary and histogram, with a help text that could pass for a sample."""
    found = prometheus_client.CollectorRegistry()
    gauge = prometheus_client.Gauge(f"{name}_g", 'a_metric{x="y"} 7\n', labels, registry=found)
    counter = prometheus_client.Counter(f"{name}_c", "\\", labels, registry=found)
    summary = prometheus_client.Summary(f"{name}_s", "", labels, registry=found)
    histogram = prometheus_client.Histogram(f"{name}_h", "", labels, registry=found)
    for metric in (gauge, counter, summary, histogram):
        child: Any = metric.labels(**labels) if labels else metric
        if isinstance(child, prometheus_client.Gauge):
            child.set(value)
        elif isinstance(child, prometheus_client.Counter):
            child.inc(abs(value) if math.isfinite(value) else 1)
        else:
            child.observe(value)
    return found


def written(
    registry: prometheus_client.CollectorRegistry,
) -> list[tuple[str, tuple[tuple[str, str], ...], str]]:
    return sorted(
        (one.name, tuple(sorted(one.labels.items())), repr(float(one.value)))
        for family in registry.collect()
        for one in family.samples
    )


def read(text: str) -> list[tuple[str, tuple[tuple[str, str], ...], str]]:
    found = list(parse(text))
    assert not [one for one in found if isinstance(one, BadLineError)]
    return sorted(
        (one.name, tuple(sorted(one.labels.items())), repr(one.value))
        for one in found
        if isinstance(one, Sample)
    )


@given(NAMES, LABELS, VALUES)
def test_what_prometheus_client_writes(name: str, labels: dict[str, str], value: float) -> None:
    """Every sample of both formats is read as it was meant: names, labels with any text, every float."""
    found = registry(name, labels, value)
    expected = written(found)

    assert read(generate_latest(found).decode()) == expected
    openmetrics = generate_openmetrics(found)  # type: ignore[no-untyped-call]
    assert read(openmetrics.decode()) == expected


@given(st.text(max_size=60))
def test_any_text_is_read_without_harm(text: str) -> None:
    """Whatever comes is samples and bad lines, never an error."""
    assert all(isinstance(one, (Sample, BadLineError)) for one in parse(text))


@given(st.text(alphabet='abc_{}="\\, 1.eN\t', max_size=40))
def test_broken_samples_are_read_without_harm(text: str) -> None:
    """So with text that is nearly right."""
    assert all(isinstance(one, (Sample, BadLineError)) for one in parse(text))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("up 1", Sample("up", {}, 1.0)),
        ("up\t1 1395066363000", Sample("up", {}, 1.0)),
        ('a{b="c",} .5', Sample("a", {"b": "c"}, 0.5)),
        ('a { b = "c" , d="e" } 2e3', Sample("a", {"b": "c", "d": "e"}, 2000.0)),
        ("a{} +Inf", Sample("a", {}, math.inf)),
        (r'a{b="\\ \" \n \x"} -1', Sample("a", {"b": '\\ " \n \\x'}, -1.0)),
        ('{"gpu.power", "pod.name"="x"} 3', Sample("gpu.power", {"pod.name": "x"}, 3.0)),
        ('a_bucket{le="+Inf"} 3 # {trace_id="x"} 0.5 1.0', Sample("a_bucket", {"le": "+Inf"}, 3.0)),
        ('a{b="}, {"} 1', Sample("a", {"b": "}, {"}, 1.0)),
    ],
)
def test_forms(line: str, expected: Sample) -> None:
    """Blanks, escapes, quoted names, timestamps and exemplars, as the formats allow them."""
    assert sample(line) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7up 1", "expected a metric's name, got '7up 1'"),
        ("{} 1", "expected a metric's name, got '{} 1'"),
        ("up", "expected a number after the name, got 'up'"),
        ("up one", "expected a number after the name, got 'up one'"),
        ("up 1_000", "expected a number after the name, got 'up 1_000'"),
        ('up{a="b" 1', "expected a comma or a closing brace, got 'up{a=\"b\" 1'"),
        ("up{a=b} 1", "expected a=\"...\" in braces, got 'up{a=b} 1'"),
        ("up{=} 1", "expected labels in braces, got 'up{=} 1'"),
        ('up{a="b', 'expected a="..." in braces, got \'up{a="b\''),
    ],
)
def test_bad_lines(line: str, message: str) -> None:
    """What is no sample says what it is, and costs no other."""
    found = list(parse(f"good 1\n{line}\nlast 2"))

    assert [str(one) for one in found if isinstance(one, BadLineError)] == [message]
    assert [one.name for one in found if isinstance(one, Sample)] == ["good", "last"]


def test_nothing_after_the_end() -> None:
    """OpenMetrics marks the end."""
    assert list(parse("a 1\n# EOF\nb 2\n")) == [Sample("a", {}, 1.0)]
