"""Names of numbers: one list with unit and meaning, and the aliases that lead to it.

The documentation page of metrics is generated from this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from emitter.vocabulary.gpu_metrics import GPU, TORCH
from emitter.vocabulary.host_metrics import HOST
from emitter.vocabulary.metric import Metric
from emitter.vocabulary.rl_metrics import REINFORCEMENT
from emitter.vocabulary.training_metrics import TRAINING

__all__ = ["ALIASES", "BY_NAME", "METRICS", "Metric", "canonical", "canonical_values"]

METRICS: Final = (*TRAINING, *REINFORCEMENT, *HOST, *GPU, *TORCH)
BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
ALIASES: Final[Mapping[str, str]] = {alias: metric.name for metric in METRICS for alias in metric.aliases}


def canonical(name: str, extra: Mapping[str, str] | None = None) -> str:
    """The canonical name of a logged metric; the name itself where no alias leads elsewhere.

    ``extra`` is the user's own table (``init(aliases=...)``) and wins over ours.
    """
    if extra and name in extra:
        return extra[name]
    return ALIASES.get(name, name)


def canonical_values(
    values: Mapping[str, object], extra: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The values under canonical names. A canonical name that was logged itself wins over its aliases;
    the losing alias stays under the name it was logged with, so nothing is dropped.
    """
    result: dict[str, object] = {}
    for name, value in values.items():
        target = canonical(name, extra)
        if target != name and (target in values or target in result):
            target = name
        result[target] = value
    return result
