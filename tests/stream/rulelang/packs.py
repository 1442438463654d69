"""A pack that has no mistakes, for tests that add some."""

from __future__ import annotations

from typing import Final

GOOD: Final = """\
pack: numbers
rules:
  - id: too-large
    category: loss_spike
    summary: "Loss {loss:.3g}"
    on: train.step
    when: loss > 10
"""
