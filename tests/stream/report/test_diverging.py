"""Where two series part."""

from __future__ import annotations

import math
import random

import pytest

from stream.report.diverging import diverge


def _noisy(seed: int, steps: int = 400, since: int | None = None, by: float = 0.0) -> dict[int, float]:
    noise = random.Random(seed)
    return {
        step: 2
        + 3 * math.exp(-step / 80)
        + noise.gauss(0, 0.05)
        + (by if since is not None and step >= since else 0)
        for step in range(steps)
    }


@pytest.mark.parametrize("seed", range(8))
def test_noise_alone_parts_nothing(seed: int) -> None:
    """Two runs of the same curve with other noise."""
    found = diverge(_noisy(seed), _noisy(seed + 100))
    assert (found.step, found.why) == (None, "no difference beyond the noise")


@pytest.mark.parametrize("seed", range(8))
def test_a_lasting_difference_is_found_where_it_begins(seed: int) -> None:
    """Within a window of it, with its size and sign."""
    found = diverge(_noisy(seed), _noisy(seed + 100, since=200, by=0.4))
    assert found.step is not None
    assert abs(found.step - 200) <= 10
    assert found.why == "above from there on"
    assert found.noise == pytest.approx(0.05 * math.sqrt(2), rel=0.3)


def test_a_difference_that_passes_is_none() -> None:
    """Twenty odd steps are not a parting."""
    odd = _noisy(1)
    odd |= {step: odd[step] + 1 for step in range(100, 115)}
    assert diverge(_noisy(101), odd).step is None


def test_the_same_run_until_it_is_not() -> None:
    """Equal numbers have no noise: the first other one counts."""
    one = _noisy(1)
    other = {step: value * (1.01 if step >= 250 else 1) for step, value in one.items()}
    found = diverge(one, other)
    assert (found.same_until, found.step) == (249, 250)
    assert diverge(one, one).step is None
    assert diverge(one, one).same_until == 399


def test_not_finite_on_one_side() -> None:
    """Parts them at once."""
    found = diverge(_noisy(1), _noisy(101) | {40: math.nan})
    assert (found.step, found.why) == (40, "not finite on one side")


def test_too_little_in_common() -> None:
    """Is said; nothing in common too."""
    assert (
        diverge(_noisy(1, 10), _noisy(2, 10)).why
        == "too few common steps (10) to tell a difference from noise"
    )
    assert diverge({1: 1.0}, {2: 1.0}).common == 0
