"""The Collector's own decoder (pdata, in Go) reads what we send, field by field."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emitter._records import TRACES, Item, Span
from emitter.otlp.encoder import Encoder, span
from tests.emitter.receiver import attributes
from tests.emitter.test_wire import packed, parsed

SOURCE = Path(__file__).parent / "pdata"
FLOATS = (math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7e308)

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("go") is None, reason="needs Go"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("pdata") / "reader"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=SOURCE, check=True, timeout=800)
    return program


def read(reader: Path, signal: str, body: bytes) -> dict[str, Any]:
    done = subprocess.run([reader, signal], input=body, capture_output=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def value(pair: dict[str, Any]) -> Any:
    """An AnyValue of OTLP/JSON, where integers are strings."""
    ((kind, found),) = pair["value"].items()
    return {"intValue": int, "doubleValue": float, "boolValue": bool, "stringValue": str}[kind](found)


def rows(chance: random.Random, with_epoch: bool) -> list[Any]:
    """Steps of one shape with numbers of all sizes, and a record of its own kind."""
    kinds = {f"name-{number}-{'x' * chance.randrange(9)}": chance.random() < 0.5
             for number in range(chance.randrange(2, 14))}  # fmt: skip
    steps = [
        (chance.randrange(2**40), seq, "train.step", chance.randrange(2**56), seq / 7 if with_epoch else None,
         {name: chance.choice((*FLOATS, chance.uniform(-1e9, 1e9))) if real else chance.randrange(2**56)
          for name, real in kinds.items()})
        for seq in range(50)
    ]  # fmt: skip
    own = {"negative": -5, "smallest": -(2**63), "text": "äö\0", "flag": True}
    return [*steps, Item(1, 50, "train.log", None, None, own, "body ä", 17)]


def test_collector_reads_log_records_field_by_field(reader: Path) -> None:
    """Records of the fast and the general way: names, kinds, values, times, severities, bodies."""
    chance = random.Random(3)
    for case in range(40):
        ((request,), _) = packed(rows(chance, with_epoch=bool(case % 2)))
        (group,) = read(reader, "logs", request.body)["resourceLogs"]
        found = group["scopeLogs"][0]["logRecords"]
        expected = parsed(request.body)
        assert len(found) == len(expected) == 51
        for one, other in zip(found, expected, strict=True):
            values = {pair["key"]: value(pair) for pair in one["attributes"]}
            assert list(values.items()) == list(attributes(other).items())
            assert [*map(type, values.values())] == [*map(type, attributes(other).values())]
            assert int(one["timeUnixNano"]) == other.time_unix_nano
            assert int(one["observedTimeUnixNano"]) == other.observed_time_unix_nano
            assert (one["eventName"], one.get("severityNumber", 0)) == (
                other.event_name,
                other.severity_number,
            )
            assert one.get("body", {}).get("stringValue", "") == other.body.string_value
            assert one.get("droppedAttributesCount", 0) == 0


def test_collector_reads_spans(reader: Path) -> None:
    """Ids, kind, times, attributes, status and flags."""
    made = Span("checkpoint.save", 2**127 + 5, 2**60 + 1, 77, 10**18, 10**18 + 5, {"a": 1, "c": True}, "bad")
    body = Encoder({"train.rank": 0}).payload(TRACES, [span(made)], 1).body
    (found,) = read(reader, "traces", body)["resourceSpans"][0]["scopeSpans"][0]["spans"]

    assert (found["traceId"], found["spanId"], found["parentSpanId"]) == (
        f"{made.trace_id:032x}", f"{made.span_id:016x}", f"{77:016x}",
    )  # fmt: skip
    assert {pair["key"]: value(pair) for pair in found["attributes"]} == made.attributes
    assert (found["name"], found["status"]) == ("checkpoint.save", {"message": "bad", "code": 2})
    assert (found["startTimeUnixNano"], found["endTimeUnixNano"]) == (str(10**18), str(10**18 + 5))
    assert (found["kind"], found["flags"]) == (1, 0x101)
