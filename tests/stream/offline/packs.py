"""A small pack, so that these tests say what is read and not how good the shipped rules are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from stream.rulelang import RuleSet, load_text

PACK: Final = """\
pack: offline
rules:
  - id: not-finite
    category: nan_loss
    summary: "Loss is {loss:g} (rank {rank}, step {step})"
    on: train.step
    when: not isfinite(loss)
    severity: critical
    then: [{save: {kind: forensic}}, {rollback: {lr_scale: 0.3}}]
  - id: jump
    category: grad_explosion
    summary: "Gradient norm {grad_norm:.3g} is {ratio:.1f} times the usual"
    on: train.step
    learn: calm
    params: {limit: 10}
    let:
      ratio: grad_norm / median(grad_norm, last=50)
    when: ratio > limit and count(grad_norm, last=50) >= 5
    for: 2
  - id: eval-high
    category: overfitting
    summary: "Eval loss {eval_loss}"
    on: train.eval
    when: eval_loss > 100
  - id: oom
    category: cuda_oom
    summary: "Out of memory: {gpu}"
    on: train.log
    match: ['CUDA out of memory', '^GPU (?P<gpu>\\d+) is full']
    unless: ['caught and retried']
    severity: critical
    keep_firing: 60s
  - id: best
    category: milestone
    summary: "Loss is below a tenth"
    on: train.step
    when: loss < 0.1
    severity: info
  - id: slow-for-long
    category: throughput_drop
    summary: "Slow"
    on: train.step
    when: step_time > 10
    for: 30s
  - id: slow-lately
    category: throughput_drop
    summary: "Slow"
    on: train.step
    when: mean(step_time, over="5m") > 100
  - id: rising
    category: memory_leak
    summary: "Rising"
    on: train.step
    when: rate(field("mine"), last=10) > 100
"""


@cache
def ruleset() -> RuleSet:
    """The rules of the pack."""
    return load_text(PACK, Path("offline.yaml"))


def write_pack(folder: Path) -> Path:
    """The pack as a file."""
    path = folder / "pack.yaml"
    path.write_text(PACK)
    return path
