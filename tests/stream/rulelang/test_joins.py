"""Windows over windows and lets, joins of other events, other ranks: what they compile to."""

from __future__ import annotations

from typing import Any

import pytest

from stream.rulelang import Rule, load_texts
from stream.rulelang.model import Program


def _rule(body: str, *, on: str = "train.step", summary: str = "x") -> Rule:
    lines = [f"id: one\ncategory: custom.x\nsummary: '{summary}'\non: {on}", *body.splitlines()]
    inner = "\n".join(lines).replace("\n", "\n    ")
    return load_texts({"a.yaml": f"pack: a\nrules:\n  - {inner}\n"}).rules[0]


def _program(body: str, **more: Any) -> Program:
    found = _rule(body, **more).program
    assert found is not None
    return found


class _One:
    """A window or peers whose every statistic is a number."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: self._value


def test_inner_windows_come_first() -> None:
    """A source reads the windows before it."""
    program = _program("when: min(mean(loss, last=20), last=500) < loss")
    inner, outer = program.windows
    assert (inner.last, outer.last) == (20, 500)
    assert inner.source([3.0], []) == 3.0
    assert outer.source([3.0], [_One(7.0)]) == 7.0


def test_windows_may_be_taken_over_lets() -> None:
    """The let is computed inside the source, with the lets that it needs."""
    program = _program("let: {half: loss / 2, quarter: half / 2}\nwhen: mean(quarter, last=3) > half")
    (window,) = program.windows
    assert window.source([8.0], []) == 2.0


def test_equal_windows_are_one() -> None:
    """Whatever statistic is asked of them."""
    assert len(_program("when: mean(loss, last=9) > median(loss, last=9) + std(loss, last=8)").windows) == 2


def test_zscore_is_made_of_mean_and_std() -> None:
    """(present - mean) / std of one window; an IEEE division."""
    program = _program("let: {z: 'zscore(loss, last=9)'}\nwhen: z > 3")
    assert len(program.windows) == 1
    assert program.values([7.0], [_One(2.0)], []) == (2.5,)


def test_a_join_reads_the_other_event() -> None:
    """A window fed by it, with slots of its own."""
    program = _program(
        "with:\n  train: last(train.step.loss)\n"
        "  slow: max(train.step.step_time + train.step.data_time, last=9)\n"
        "let: {gap: eval_loss - train}\nwhen: gap > slow",
        on="train.eval",
        summary="{train} {gap}",
    )
    latest, slow = program.windows
    assert (latest.event, latest.last, [slot.name for slot in latest.slots]) == ("train.step", 1, ["loss"])
    assert [slot.name for slot in slow.slots] == ["step_time", "data_time"]
    assert slow.source([1.0, 2.0], []) == 3.0
    assert [slot.name for slot in program.slots] == ["eval_loss"]
    assert program.names == ("train", "slow", "gap")
    assert program.when([5.0], [_One(1.0), _One(3.0)], []) is True
    assert program.values([5.0], [_One(1.0), _One(3.0)], []) == (1.0, 3.0, 4.0)


def test_joined_windows_nest() -> None:
    """Inner and outer are fed by the same event."""
    program = _program(
        "with: {low: 'min(mean(train.step.loss, last=5), last=50)'}\nwhen: eval_loss > low", on="train.eval"
    )
    inner, outer = program.windows
    assert (inner.event, outer.event) == ("train.step", "train.step")
    assert inner.slots == outer.slots
    assert outer.source([1.0], [_One(4.0)]) == 4.0


def test_a_join_reaches_names_of_ones_own_and_optional_ones() -> None:
    """field() with the event in front; has() makes a name optional for the window."""
    program = _program(
        "with: {a: 'last(train.eval.field(\"my/x\"))', b: 'last(1 if has(train.eval.eval_loss) else 0)'}\n"
        "when: a > 1 and b > 0"
    )
    first, second = program.windows
    assert [(slot.name, slot.optional) for slot in first.slots] == [("my/x", False)]
    assert [(slot.name, slot.kind, slot.optional) for slot in second.slots] == [("eval_loss", "has", True)]


def test_peers_are_asked_for_a_value() -> None:
    """Equal questions are one; each has its group."""
    program = _program(
        "let: {mine: 'mean(step_time, last=5)'}\n"
        "when: mine > 2 * peers.median(mine) and mine > peers.max(mine, of='node')"
        " and peers.count(of='run') > 2"
    )
    assert [peer.of for peer in program.peers] == ["role", "node", "run"]
    assert program.peers[0].source([1.0], [_One(3.0)]) == 3.0
    assert program.when([1.0], [_One(9.0)], [_One(4.0), _One(4.0), _One(4.0)]) is True
    assert len(_program("when: loss > peers.max(loss) + peers.min(loss)").peers) == 1


@pytest.mark.parametrize(
    ("body", "on", "places"),
    [
        ("when: loss > 1", "train.step", [("resource", "role"), ("resource", "rank")]),
        ("by: [run]\nwhen: loss > 1", "train.step", []),
        ("by: [run, node]\nwhen: loss > 1", "train.step", [("resource", "node")]),
        ("by: [run, hw.id]\nwhen: hw.gpu.power > 1", "train.resource", [("value", "hw.id")]),
        ("by: [run, code]\nmatch: 'Xid (?P<code>[0-9]+)'", "train.log", [("group", "code")]),
        ("by: [run, attribute.gpu]\nwhen: value > 1", "metric", [("value", "gpu")]),
        (
            "by: [run, rule, severity]\nwhen: state == 'firing'",
            "diagnosis",
            [("value", "rule"), ("value", "severity")],
        ),
        ("by: [run, phase]\nwhen: progress_age > 1", "train.heartbeat", [("value", "train.phase")]),
        (
            "when: value > 1",
            "metric",
            [("resource", "role"), ("resource", "rank"), ("resource", "node"), ("event", "attributes")],
        ),
    ],
)
def test_a_series_is_read_by_slots(body: str, on: str, places: list[tuple[str, str]]) -> None:
    """All that `by` names besides the run, in its order."""
    rule = _rule(body, on=on)
    assert [(slot.place, slot.name) for slot in rule.keys] == places
    assert len(rule.keys) == len([word for word in rule.by if word != "run"])


def test_attributes_that_a_point_has_itself() -> None:
    """An attribute called `value` travels under another name."""
    assert (
        _program("when: attribute.value == 'x' and value > 1", on="metric").slots[0].name
        == "attributes.value"
    )


def test_texts_that_may_be_absent_are_optional() -> None:
    """A host's sample has no hw.id: it reads as "", and is a sample all the same."""
    slots = _program("when: hw.id == '' and system.cpu.utilization > 0.5", on="train.resource").slots
    assert [(slot.name, slot.optional) for slot in slots] == [
        ("hw.id", True),
        ("system.cpu.utilization", False),
    ]


def test_absence_takes_all_its_keys() -> None:
    """Of any event."""
    inner = (
        "absent: {of: checkpoint.save, for: 5m, after: checkpoint.started, times: 3, phases: [train, eval]}"
    )
    rules = load_texts(
        {"a.yaml": f"pack: a\nrules:\n  - id: a\n    category: hang\n    summary: x\n    {inner}\n"}
    )
    absent = rules.rules[0].absent
    assert absent is not None
    assert (absent.of, absent.for_s, absent.after) == ("checkpoint.save", 300.0, "checkpoint.started")
    assert (absent.times, absent.phases) == (3.0, ("train", "eval"))
