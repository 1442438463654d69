"""What becomes of the values users log: the conversions that docs/emitter.md promises."""

from __future__ import annotations

import decimal
import enum
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import emitter
from emitter._values import INT_MAX, INT_MIN, TEXT_LIMIT, flatten, snapshot
from emitter.testing import Captured


class Broken:
    """Raises whatever is done with it."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __float__(self) -> float:
        raise RuntimeError("no")


class Colour(enum.Enum):
    RED = 1


def convert(value: Any) -> Any:
    attributes, bad = flatten({"v": snapshot(value)})
    return "bad" if bad else attributes.get("v", "left out")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, 0.5),
        (3, 3),
        (True, 1),
        (False, 0),
        ("text", "text"),
        (None, "left out"),
        (math.inf, math.inf),
        (INT_MAX, INT_MAX),
        (INT_MAX + 1, float(2**63)),
        (INT_MIN, INT_MIN),
        (-(10**400), -math.inf),
        (10**400, math.inf),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), 1),
        (np.str_("word"), "word"),
        (np.array(2.5), 2.5),
        (np.array([2.5]), 2.5),
        (np.array([1.0, 2.0]), "bad"),
        (torch.tensor(2.5), 2.5),
        (torch.tensor(3), 3),
        (torch.tensor([4.0]), 4.0),
        (torch.tensor(2.5, requires_grad=True), 2.5),
        (torch.tensor(2.5, dtype=torch.bfloat16), 2.5),
        (torch.tensor([1.0, 2.0]), "bad"),
        (torch.empty((), device="meta"), "bad"),
        (decimal.Decimal("0.25"), 0.25),
        (Colour.RED, "<Colour.RED: 1>"),
        ([1, 2], "[1, 2]"),
        ((1, "a"), "(1, 'a')"),
        (b"bytes", "b'bytes'"),
        (1 + 2j, "(1+2j)"),
        (Broken(), "bad"),
        ([Broken()], "bad"),
        ("x" * 5000, "x" * TEXT_LIMIT),
        ("\ud800", "?"),
    ],
)  # fmt: skip
def test_conversion(value: Any, expected: Any) -> None:
    """Every kind of value has one defined outcome."""
    converted = convert(value)

    assert converted == expected
    assert type(converted) in (int, float, str)


def test_nan_is_kept() -> None:
    """NaN is the most interesting value there is."""
    for value in (math.nan, np.float32("nan"), torch.tensor(math.nan)):
        assert math.isnan(convert(value))


def test_dict_is_flattened() -> None:
    """A dict gives one value per leaf, its keys joined by slashes."""
    attributes, bad = flatten({"loss": snapshot({"ce": torch.tensor(1.5), "aux": {"z": 2}, "n": None})})

    assert (attributes, bad) == ({"loss/ce": 1.5, "loss/aux/z": 2}, 0)


def _loop(width: int = 1) -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop.update({f"again {place}": loop for place in range(width)})
    return loop


def _wide() -> dict[str, Any]:
    shared: dict[str, Any] = {str(place): 1.0 for place in range(200)}
    for _ in range(3):
        shared = {str(place): shared for place in range(200)}
    return shared


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize("value", [_loop(), _loop(256), _wide()], ids=["loop", "wide loop", "1.6e9 leaves"])
def test_endless_dict_is_one_bad_value(value: Any) -> None:
    """A dict that contains itself, or that unfolds into more than anybody means, is not followed."""
    assert flatten({"v": snapshot(value)}) == ({}, 1)


@pytest.mark.parametrize("value", [_deep(), [0.5] * 10_000_000, [_loop()]], ids=["deep", "long", "loop"])
def test_text_of_a_container_is_short_and_quick(value: Any) -> None:
    """An attribute of an event shows the beginning of a long container, and no more of it is read."""
    assert len(str(convert(value))) < TEXT_LIMIT


def test_tensor_is_read_when_it_is_logged(captured: Captured) -> None:
    """A CPU tensor or array that the loop overwrites afterwards keeps the value it had."""
    running, array, nested = torch.tensor(1.0), np.array(1.0), {"a": torch.tensor(1.0)}
    emitter.step(0, running=running, array=array, nested=nested)
    running += 1
    array += 1
    nested["a"] += 1

    found = captured.named("train.step")[0].attributes
    assert (found["running"], found["array"], found["nested/a"]) == (1.0, 1.0, 1.0)


def test_bad_values_cost_themselves_only(captured: Captured) -> None:
    """One event with everything odd in it: the good values arrive, the bad ones are counted."""
    odd: dict[Any, Any] = {"1": 2.0, 1: 3.0, Broken(): 1.0}
    emitter.step(
        5, odd, loss=math.nan, none=None, nested={"a": 1, 2: 5.0, "b": "word"},
        scalar=torch.tensor(2.0), huge=2**70, text="word", array=torch.ones(3), broken=Broken(),
        meta=torch.empty((), device="meta"), loop=_loop(3), objects=[1.0], enum=Colour.RED, complex=1 + 2j,
    )  # fmt: skip

    found = dict(captured.named("train.step")[0].attributes)
    assert math.isnan(float(found.pop("loss")))
    assert found == {"1": 2.0, "nested/a": 1, "scalar": 2.0, "huge": float(2**70),
                     "train.step": 5, "train.seq": 1}  # fmt: skip
    assert captured.session.queue.totals == {"bad_value": 12}


def test_texts_belong_to_events(captured: Captured) -> None:
    """A metric is a number; an attribute of an event of your own may be a text."""
    emitter.eval(1, score=0.5, text="word")
    odd: dict[Any, Any] = {3: 1.0}
    emitter.event("mine", odd, text="word")

    assert captured.named("train.eval")[0].attributes["score"] == 0.5
    assert "text" not in captured.named("train.eval")[0].attributes
    assert captured.named("mine")[0].attributes["text"] == "word"
    assert captured.session.queue.totals == {"bad_value": 2}


@pytest.mark.parametrize(
    ("step", "expected"),
    [(torch.tensor(3), 3), (np.int64(3), 3), (3.0, 3), ("three", None), (math.nan, None), (Broken(), None)],
)
def test_odd_steps(captured: Captured, step: Any, expected: int | None) -> None:
    """A step that is no number is left out; the values still arrive."""
    emitter.step(step, loss=1.0)

    found = captured.named("train.step")[0].attributes
    assert found.get("train.step") == expected
    assert found["loss"] == 1.0


def test_step_without_a_number_is_counted(captured: Captured) -> None:
    """Calls without a step are numbered from 0; `step=` works as well."""
    emitter.step(loss=1.0)
    emitter.step(loss=1.0)
    emitter.step(step=17, loss=1.0)  # type: ignore[call-arg,unused-ignore]

    assert [log.attributes["train.step"] for log in captured.named("train.step")] == [0, 1, 17]


@settings(max_examples=100)
@given(st.dictionaries(st.text(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4,
)))  # fmt: skip
def test_whatever_comes_becomes_numbers_and_strings(values: dict[str, Any]) -> None:
    """Nothing raises, nothing but 64-bit ints, floats and UTF-8 strings comes out."""
    attributes, _ = flatten({key: snapshot(value) for key, value in values.items()})

    for value in attributes.values():
        assert type(value) in (int, float, str)
        if type(value) is int:
            assert INT_MIN <= value <= INT_MAX
        if type(value) is str:
            assert len(value.encode()) <= 4 * TEXT_LIMIT
