"""Generated streams: events of several ranks cut into batches, and rules of every kind to judge them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from emitter.vocabulary import events as words
from emitter.vocabulary.diagnoses import Diagnosis
from stream.events import VERSION, Batch, Event, Resource, Source, Tick
from tests.stream.diagnose.stories import beat, ended, resource, rule, rules, step, tick

RANKS = 3

HANG = """\
- id: hang
  category: hang
  summary: "no step for {silent:.0f} s"
  absent: {of: train.step, for: 3s, times: 3, phases: [train]}
  inhibited_by: [nan]"""
SILENT = """\
- id: silent
  category: unreachable
  summary: "silent for {silent:.0f} s"
  absent: {of: train.heartbeat, for: 60s}"""
STUCK = """\
- id: stuck
  category: checkpoint_error
  summary: "a checkpoint hangs"
  absent: {of: checkpoint.save, after: checkpoint.started, for: 4s}"""

OF_EVERY_KIND = rules(
    rule("when: not isfinite(loss)", name="nan"),
    rule(
        "learn: calm\nlet: {usual: 'median(loss, last=4)'}\nwhen: loss > 3 * usual\nfor: 2\nkeep_firing: 3s\n"
        "inhibited_by: [nan]",
        name="jump", summary="{loss:.3g} against {usual:.3g}",
    ),
    rule("when: loss > 10 and mean(loss, over='5s') < 5\nclear_when: loss < 2", name="late"),
    rule("when: loss > min(mean(loss, last=2), last=5) and ema(loss, last=4) > 1", name="nested"),
    rule("when: grad_norm > 10 and slope(grad_norm, over='9s') > 0\nfor: 2s", name="lasting"),
    rule("match: ['out of (?P<what>[a-z]+)']\nkeep_firing: 20s\nfor: 2", name="memory", on="train.log"),
    rule("match: ['(?P<w>[a-z]+) lost']\nkeep_firing: 5s\nby: [run, rank, w]", name="lost", on="train.log"),
    rule("with: {seen: 'last(train.step.loss)'}\nwhen: eval_loss > 2 * seen", name="over", on="train.eval"),
    rule("when: duration > 5", name="slow", on="checkpoint.save"),
    rule("when: value > 10", name="metric", on="metric"),
    rule("when: category == 'loss_spike' and state == 'firing'", name="echo", on="diagnosis"),
    HANG, SILENT, STUCK,
)  # fmt: skip
"""One rule of each kind, all about one rank: none waits for another."""

KINDS = (
    "step", "step", "step", "step", "eval", "line", "beat", "pause", "end", "save", "started", "metric",
    "tick",
)  # fmt: skip
LOSSES = st.sampled_from([1.0, 1.5, 2.0, 20.0, 30.0, float("nan"), float("inf")])
Action = tuple[int, str, float]
ACTIONS = st.lists(st.tuples(st.integers(0, RANKS - 1), st.sampled_from(KINDS), LOSSES), max_size=60)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def event(kind: str, number: int, loss: float, seq: int | None) -> Event:
    """One event of this kind, in second ``number``."""
    at = number * 10**9
    if kind == "line":
        return Event(words.LOG, at, seq=seq, body="out of memory" if loss > 5 else "gpu lost")
    if kind == "beat":
        return beat(float(number), seq)
    if kind == "pause":
        return Event(words.HEARTBEAT, at, seq=seq, values={"train.phase": "paused"})
    if kind == "end":
        return ended(float(number), seq)
    if kind == "save":
        return Event(words.CHECKPOINT_SAVE, at, values={"duration": loss}, end=at + 10**9, status="ok")
    if kind == "started":
        return Event(words.CHECKPOINT_STARTED, at, seq=seq, step=number)
    if kind == "metric":
        return Event(words.METRIC, at, values={"gpu": str(number % 2), "value": loss}, metric="power")
    if kind == "eval":
        return Event(words.EVAL, at, seq=seq, step=number, values={"eval_loss": loss})
    return step(number, seq=seq, loss=loss, grad_norm=loss)


def numbered(actions: Sequence[Action]) -> list[tuple[int, Event]]:
    """The events with their ranks, each rank's numbered by train.seq where the emitter numbers them."""
    counters = [0] * RANKS
    found = []
    for number, (rank, kind, loss) in enumerate(actions):
        if kind == "tick":
            continue
        seq = None if kind in ("save", "metric") else counters[rank]
        counters[rank] += seq is not None
        found.append((rank, event(kind, number, loss, seq)))
    return found


def batch(part: Sequence[tuple[int, Event]], offset: int, attempt: int = 0) -> Batch:
    """These events of these ranks as one batch."""
    ranks: list[Resource] = [resource(rank, attempt=attempt) for rank in range(RANKS)]
    moved = [msgspec.structs.replace(one, resource=rank) for rank, one in part]
    return Batch(VERSION, "run", Source("otlp_logs", 0, offset, offset), ranks, moved)


def batches(found: Sequence[tuple[int, Event]], sizes: Sequence[int]) -> list[Batch | Tick]:
    """The events cut into batches of these sizes (then of the last one)."""
    messages: list[Batch | Tick] = []
    rest = list(found)
    while rest:
        size = sizes[min(len(messages), len(sizes) - 1)]
        part, rest = rest[:size], rest[size:]
        messages.append(batch(part, len(messages)))
    return messages


def stream(actions: Sequence[Action]) -> list[Batch | Tick]:
    """Every action as a message of its own: a batch of one event, or a tick."""
    messages: list[Batch | Tick] = []
    found = iter(numbered(actions))
    for number, (_, kind, _) in enumerate(actions):
        if kind == "tick":
            messages.append(tick(float(number) * 10))
        else:
            messages.append(batch([next(found)], number))
    return messages


def encoded(made: Sequence[Diagnosis]) -> list[bytes]:
    """Diagnoses as they travel, to be compared."""
    return [one.encode() for one in made]
