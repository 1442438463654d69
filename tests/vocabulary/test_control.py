"""Words of people as CloudEvents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary import cloudevents, control
from emitter.vocabulary.cloudevents import CloudEventError
from emitter.vocabulary.control import Control, RunMode, Silence, decode_control

_WORDS = st.text(min_size=1, max_size=20)
_TIMES = st.integers(0, 4_000_000_000 * 10**9).map(cloudevents.rfc3339)
_MAYBE = st.none() | _WORDS
_SILENCES = st.builds(Silence, id=_WORDS, run=_MAYBE, rule=_MAYBE, ends=_TIMES, comment=_MAYBE)
_RUN_MODES = st.one_of(
    st.builds(RunMode, run=_WORDS),
    st.builds(RunMode, run=_WORDS, mode=st.sampled_from(control.MODES), ends=_TIMES),
)
_CONTROLS = st.one_of(
    st.builds(
        Control, kind=st.sampled_from(sorted(control.ABOUT_A_COMMAND)), author=_WORDS, time=_TIMES,
        command=_WORDS, reason=_MAYBE,
    ),
    st.builds(
        Control, kind=st.sampled_from(sorted(control.ABOUT_A_SILENCE)), author=_WORDS, time=_TIMES,
        silence=_SILENCES, reason=_MAYBE,
    ),
    st.builds(
        Control, kind=st.just(control.RESET_BREAKER), author=_WORDS, time=_TIMES, command=_MAYBE,
        reason=_MAYBE,
    ),
    st.builds(
        Control, kind=st.just(control.MODE), author=_WORDS, time=_TIMES, reason=_MAYBE, run_mode=_RUN_MODES,
    ),
)  # fmt: skip


@given(_CONTROLS)
def test_words_of_people_survive_the_round_trip(said: Control) -> None:
    """What is decoded is what was said, under the same id."""
    found = decode_control(said.encode())
    assert (found, found.id) == (said, said.id)
    assert json.loads(said.encode())["id"] == said.id


GOOD = {"kind": "approve", "author": "ann", "time": "2026-01-01T00:00:00Z", "command": "c"}
MODE = {"kind": "mode", "author": "ann", "time": "2026-01-01T00:00:00Z"}
QUIET = {"kind": "silence", "author": "ann", "time": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({**GOOD, "kind": "obey"}, "expected `kind` to be one of approve, reject"),
        ({**GOOD, "author": ""}, "expected `author` to be a string that is not empty"),
        ({**GOOD, "time": "yesterday"}, "expected `time` to be a time such as"),
        ({**GOOD, "command": None}, "expected `command` to be a string"),
        ({**QUIET}, "expected `silence` to be an object, got None"),
        ({**QUIET, "silence": {"id": "s"}}, "expected `silence.ends` to be a string"),
        ({**QUIET, "silence": {"id": "s", "ends": "never"}}, "expected `silence.ends` to be a time"),
        ({**MODE}, "expected `run_mode` to be an object, got None"),
        ({**MODE, "run_mode": {"run": ""}}, "expected `run_mode.run` to be a string that is not empty"),
        (
            {**MODE, "run_mode": {"run": "r", "mode": "off"}},
            "expected `run_mode.mode` to be one of act, approve, shadow, got 'off'",
        ),
        ({**MODE, "run_mode": {"run": "r", "mode": "act"}}, "expected `run_mode.ends` to be a string"),
    ],
)
def test_bad_words_are_named(data: dict[str, Any], complaint: str) -> None:
    """Field, expectation and what came."""
    payload = cloudevents.encode(cloudevents.CONTROL, "1", "c", "2026-01-01T00:00:00Z", data)
    with pytest.raises(CloudEventError, match=complaint):
        decode_control(payload)
