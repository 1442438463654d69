"""OTLP bytes, damaged in every way, cost one clear error each and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emitter.vocabulary import topics
from stream.gateway import split
from tests.fuzz import campaign, otlp
from tests.fuzz.otlp import Otlp

CASES = 3000
# In a log record, in an attribute of one, and in its value: a group, which OTLP does not have.
GROUPS = (
    b"\n\x0f\x12\r\x12\x0b\t\1\1\1\1\1\1\1\1{|",
    b"\n\x12\x12\x10\x12\x0e2\x0c\n\x01k\x12\x02\x18\x07{p\x05|",
    b"\n\x10\x12\x0e\x12\x0c2\n\n\x01k\x12\x05\x18\x07{|\x20",
)


# A metric without data, too long for one message: it has no data point that could be rejected.
EMPTY_METRIC = b"\n\xc3\x1f\x12\xc0\x1f\x12\xbd\x1f\n\xba\x1f" + b"m" * 4026


@given(topic=st.sampled_from(topics.OTLP_TOPICS), payload=st.binary(max_size=200))
@example(topics.OTLP_LOGS, GROUPS[0])
@example(topics.OTLP_LOGS, GROUPS[1])
@example(topics.OTLP_LOGS, GROUPS[2])
@example(topics.OTLP_METRICS, EMPTY_METRIC)
def test_any_bytes(topic: str, payload: bytes) -> None:
    """Ingest, history and gateway agree on whether bytes are a request, and lose nothing of one."""
    target = Otlp()
    target.check((topic, payload))
    target.finish()


def test_damaged_requests(capsys: pytest.CaptureFixture[str]) -> None:
    """Real requests with changes: no crash, nothing lost beside them, every way to read them agrees."""
    campaign.in_ci(Otlp(), CASES, capsys)


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_damaged_requests_all_night(capsys: pytest.CaptureFixture[str]) -> None:
    """The same for as long as TRAINWARDEN_FUZZ_S says, with cases that no night had before."""
    campaign.all_night(Otlp(), capsys)


def test_a_gateway_that_loses_records_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the campaign is there to see, it sees."""
    whole = split.messages_of

    def lossy(*arguments: Any) -> Any:
        made = whole(*arguments)
        del made.values[-1:]
        return made

    monkeypatch.setattr(otlp, "messages_of", lossy)
    outcome = campaign.run(Otlp(), 1, cases=CASES)
    ((_, error),) = outcome.found
    assert isinstance(error, AssertionError)
