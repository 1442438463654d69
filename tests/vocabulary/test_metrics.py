"""Names of numbers and their aliases."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary import metrics

_NAMES = st.sampled_from(sorted([*metrics.ALIASES, *metrics.BY_NAME, "mine", "train/mine"]))


def test_each_name_and_alias_is_used_once() -> None:
    """No alias leads to two metrics, and none hides a canonical name."""
    names = Counter(
        [metric.name for metric in metrics.METRICS]
        + [alias for metric in metrics.METRICS for alias in metric.aliases]
    )

    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    ("logged", "name"),
    [
        ("train/loss", "loss"), ("train_loss", "loss"), ("gnorm", "grad_norm"), ("lr", "learning_rate"),
        ("kl_divergence", "kl"), ("objective/kl", "kl"), ("rewards/mean", "reward_mean"), ("mine", "mine"),
    ],
)  # fmt: skip
def test_aliases_of_the_design(logged: str, name: str) -> None:
    """What people log leads to the canonical names; other names stay."""
    assert metrics.canonical(logged) == name


def test_the_users_aliases_win() -> None:
    """init(aliases=...) extends and overrides the table."""
    assert metrics.canonical("lr", {"lr": "my_lr"}) == "my_lr"
    assert metrics.canonical("my/loss", {"my/loss": "loss"}) == "loss"


@given(st.dictionaries(_NAMES, st.integers(), max_size=8))
def test_no_value_is_dropped(values: dict[str, object]) -> None:
    """Renaming keeps every value, and a canonical name that was logged keeps its own."""
    renamed = metrics.canonical_values(values)

    assert Counter(renamed.values()) == Counter(values.values())
    for name in values.keys() & metrics.BY_NAME.keys():
        assert renamed[name] == values[name]
