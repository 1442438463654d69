"""Where the wall time of runs went, and how they recovered from trouble (docs/goodput.md).

Questions to the views ``train_goodput``, ``train_goodput_fleet`` and ``train_recovery``, which do the sums.
"""

from stream.goodput.parts import PARTS, Goodput, Spent
from stream.goodput.questions import attempts, fleet, goodput, recovery, saves

__all__ = ["PARTS", "Goodput", "Spent", "attempts", "fleet", "goodput", "recovery", "saves"]
