"""Windows against the plain definitions of their statistics."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rulelang.model import WindowSpec
from stream.rulelang.windows import MAX_SAMPLES, Window, make

ALL: Final = frozenset({"times", "ema"})
SECOND: Final = 1_000_000_000
STATISTICS: Final = (
    "count", "first", "last", "delta", "rate", "slope", "changes", "sum", "mean", "std", "ema", "min", "max",
    "median", "mad",
)  # fmt: skip
VALUES = (
    st.floats(min_value=-1e9, max_value=1e9)
    | st.floats(width=16)
    | st.floats()
    | st.sampled_from([math.nan, math.inf, -math.inf, 1.0, 2.0, 0.0, -0.0, 5e-324, 1.7e308, -1.7e308, 1e300])
)
GAPS = st.integers(0, 5)


def _source(slots: Sequence[float], _windows: Sequence[object]) -> float:
    return slots[0]


def _window(last: int | None = None, over_s: float | None = None) -> Window:
    return make([WindowSpec(_source, ALL, last, over_s)])[0]


def _ask(window: Window, name: str) -> float:
    found: float = getattr(window, name)()
    return found


def _all(window: Window) -> list[str]:
    """Every statistic to the last bit, NaN equal to NaN."""
    return [_ask(window, name).hex() for name in STATISTICS] + [window.quantile(0.9).hex()]


def _nearest(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def _assert_equal(window: Window, kept: list[tuple[int, float]], timed: bool) -> None:
    """Against the textbook, in fractions: no rounding but the last."""
    values = [value for _, value in kept]
    exact = [Fraction(value) for value in values]
    assert window.count() == len(values)
    assert window.sum() == _nearest(sum(exact, Fraction(0)))
    assert window.changes() == len(
        [1 for index in range(1, len(values)) if values[index] != values[index - 1]]
    )
    if not values:
        assert all(math.isnan(_ask(window, name)) for name in STATISTICS if name not in _OF_NONE)
        return
    assert (window.first(), window.last()) == (values[0], values[-1])
    assert window.delta() == values[-1] - values[0]
    assert (window.min(), window.max()) == (min(values), max(values))
    assert window.mean() == _nearest(sum(exact, Fraction(0)) / len(exact))
    _assert_spread(window, exact)
    _assert_order(window, values)
    _assert_motion(window, kept, timed)


_OF_NONE: Final = ("count", "sum", "changes", "ema")


def _assert_spread(window: Window, exact: list[Fraction]) -> None:
    mean = sum(exact, Fraction(0)) / len(exact)
    variance = sum(((value - mean) ** 2 for value in exact), Fraction(0)) / len(exact)
    std = window.std()
    if not variance:
        assert std == 0.0
    elif std > 1e-300 and math.isfinite(std):
        assert abs(Fraction(std) ** 2 - variance) <= variance * Fraction(1, 10**14)


def _assert_order(window: Window, values: list[float]) -> None:
    center = statistics.median(Fraction(value) for value in values)
    assert window.median() == pytest.approx(float(center), rel=1e-15, abs=5e-324)
    distances = [abs(value - window.median()) for value in values]
    if all(math.isfinite(distance) for distance in distances):
        middle = statistics.median(Fraction(distance) for distance in distances)
        assert window.mad() == pytest.approx(float(middle), rel=1e-15, abs=5e-324)
    order = sorted(values)
    for share in (0.0, 0.25, 0.9, 1.0):
        place = Fraction(share) * (len(order) - 1)
        below = int(place)
        above = min(below + 1, len(order) - 1)
        expected = (
            Fraction(order[below]) + (Fraction(order[above]) - Fraction(order[below])) * (place - below)
        )  # fmt: skip
        size = max(abs(order[below]), abs(order[above]))
        assert abs(Fraction(window.quantile(share)) - expected) <= Fraction(size) / 10**12 + Fraction(5e-324)


def _assert_motion(window: Window, kept: list[tuple[int, float]], timed: bool) -> None:
    passed = kept[-1][0] - kept[0][0]
    expected = (kept[-1][1] - kept[0][1]) / (passed / SECOND) if passed else math.nan
    assert window.rate() == pytest.approx(expected, nan_ok=True)
    places = [Fraction(time, SECOND) if timed else Fraction(index) for index, (time, _) in enumerate(kept)]
    middle = sum(places, Fraction(0)) / len(places)
    spread = sum(((place - middle) ** 2 for place in places), Fraction(0))
    if not spread:
        assert math.isnan(window.slope())
        return
    moment = sum(
        ((place - middle) * Fraction(value) for place, (_, value) in zip(places, kept, strict=True)),
        Fraction(0),
    )
    assert window.slope() == _nearest(moment / spread)


@given(st.lists(st.tuples(VALUES, GAPS), max_size=60), st.integers(1, 12), st.integers(1, 7))
def test_the_last_n(pushes: list[tuple[float, int]], last: int, every: int) -> None:
    """A window holds the last N finite values, and every statistic is the textbook's, whenever asked."""
    window = _window(last=last)
    now = 0
    kept: list[tuple[int, float]] = []
    for index, (value, gap) in enumerate(pushes):
        now += gap * SECOND
        window.push(now, value)
        kept += [(now, value)] if math.isfinite(value) else []
        if index % every == 0:
            _assert_equal(window, kept[-last:], timed=False)
    _assert_equal(window, kept[-last:], timed=False)


@given(st.lists(st.tuples(VALUES, GAPS), max_size=60), st.integers(1, 12), st.integers(1, 7))
def test_the_last_seconds(pushes: list[tuple[float, int]], seconds: int, every: int) -> None:
    """A window over time holds what is younger than its duration."""
    window = _window(over_s=float(seconds))
    now = 0
    kept: list[tuple[int, float]] = []
    for index, (value, gap) in enumerate(pushes):
        now += gap * SECOND
        window.expire(now)
        kept = [(time, old) for time, old in kept if time > now - seconds * SECOND]
        if index % every == 0:
            _assert_equal(window, kept, timed=True)
        window.push(now, value)
        kept += [(now, value)] if math.isfinite(value) else []
    _assert_equal(window, kept, timed=True)


@given(
    st.lists(st.tuples(VALUES, GAPS, st.booleans(), st.booleans()), min_size=1, max_size=120),
    st.sampled_from([(1, None), (3, None), (20, None), (None, 4.0), (None, 60.0)]),
)
def test_asking_and_saving_change_nothing(
    story: list[tuple[float, int, bool, bool]], length: tuple[int | None, float | None]
) -> None:
    """A window that was asked, saved and restored at any time answers like one that never was, to the bit."""
    quiet, busy = _window(*length), _window(*length)
    now = 0
    for value, gap, asked, saved in story:
        now += gap * SECOND
        for window in (quiet, busy):
            window.expire(now)
            window.push(now, value)
        if asked:
            _all(busy)
        if saved:
            state, busy = busy.save(), _window(*length)
            busy.load(state)
            assert busy.save() == state
    assert _all(quiet) == _all(busy)
    assert repr(quiet.save()) == repr(busy.save())


@given(
    st.lists(st.tuples(VALUES, st.sets(st.integers(0, 4)), st.booleans()), max_size=150),
    st.lists(st.integers(1, 40), min_size=5, max_size=5),
)
def test_windows_over_one_value_share_it(
    story: list[tuple[float, set[int], bool]], lengths: list[int]
) -> None:
    """Windows of several lengths keep one copy of their values; each answers as if it were alone."""
    specs = [WindowSpec(_source, ALL, last) for last in lengths]
    alone, shared = [make([spec])[0] for spec in specs], make(specs)
    for now, (value, asked, saved) in enumerate(story):
        for window in (*alone, shared[0]):
            window.push(now, value)
        for index in asked:
            assert _all(shared[index]) == _all(alone[index])
        if saved:
            state, shared = shared[0].save(), make(specs)
            shared[0].load(state)
            assert repr(shared[4].save()) == repr(state)
    assert [_all(window) for window in shared] == [_all(window) for window in alone]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=400), st.integers(17, 60), st.integers(1, 30))
def test_extremes_of_long_windows(values: list[int], last: int, every: int) -> None:
    """Smallest and largest of windows too long to be looked through each time."""
    window = _window(last=last)
    for index, value in enumerate(values):
        window.push(0, float(value))
        if index % every == 0:
            kept = values[: index + 1][-last:]
            assert (window.min(), window.max()) == (min(kept), max(kept))


def test_the_exponential_average_by_sample() -> None:
    """alpha = 2 / (N + 1), beginning with the first value; it reaches back beyond the window."""
    window, expected = _window(last=3), 4.0
    assert math.isnan(window.ema())
    for value in (4.0, 8.0, math.nan, 2.0, 0.0, 1.0, 1.0):
        window.push(0, value)
        expected = expected if math.isnan(value) else expected / 2 + value / 2
        if value == 4.0:
            assert window.ema() == 4.0
    assert window.ema() == expected


def test_the_exponential_average_by_time() -> None:
    """All values so far, each weighted exp(-age / T); order within one moment does not matter."""
    window, other = _window(over_s=10.0), _window(over_s=10.0)
    pushes = [(0, 1.0), (5, 3.0), (5, 7.0), (30, 2.0)]
    for one, story in ((window, pushes), (other, [pushes[0], pushes[2], pushes[1], pushes[3]])):
        for seconds, value in story:
            one.push(seconds * SECOND, value)
    weights = [math.exp(-(30 - seconds) / 10) for seconds, _ in pushes]
    expected = sum(w * value for w, (_, value) in zip(weights, pushes, strict=True)) / sum(weights)
    assert window.ema() == pytest.approx(expected, rel=1e-12)
    assert other.ema() == pytest.approx(expected, rel=1e-12)


def test_sums_do_not_drift() -> None:
    """A huge and a tiny value that passed through leave no trace."""
    window = _window(last=3)
    for value in (1e300, 5e-324, 0.1, 0.2, 0.3):
        window.push(0, value)
        window.std()
    assert window.sum() == math.fsum([0.1, 0.2, 0.3])
    assert window.std() == pytest.approx(statistics.pstdev([0.1, 0.2, 0.3]))


def test_equal_values_have_no_spread() -> None:
    """The mean of equal values is that value and their spread is nothing, not a rounding error."""
    window = _window(last=7)
    for _ in range(20):
        window.push(0, 0.1)
        assert (window.mean(), window.std(), window.mad()) == (0.1, 0.0, 0.0)


def test_extremes_neither_raise_nor_overflow_silently() -> None:
    """The edge of the number range."""
    window = _window(last=4)
    for value in (1.7e308, 1.7e308, -1.7e308, 5e-324):
        window.push(0, value)
    assert math.isfinite(window.mean())
    assert math.isfinite(window.median())
    assert math.isfinite(window.ema())
    assert window.std() == pytest.approx(1.7e308 * math.sqrt(11 / 16))
    window.push(0, 1.7e308)
    assert window.sum() == 1.7e308


@pytest.mark.parametrize("asked", [False, True])
def test_a_window_over_time_is_bounded_in_number(asked: bool) -> None:
    """Memory is bounded whatever the rate of events, asked or not."""
    (window,) = make([WindowSpec(_source, frozenset(), None, 3600.0)])
    for index in range(3 * MAX_SAMPLES):
        window.push(index, float(index))
        if asked and index % 1000 == 0:
            window.median()
    assert window.count() == MAX_SAMPLES
    assert window.first() == 2.0 * MAX_SAMPLES
    assert window.median() == 2.5 * MAX_SAMPLES - 0.5
    assert len(window.save()["values"]) == MAX_SAMPLES


def test_times_may_be_any_that_a_sender_says() -> None:
    """OTLP has room for twice as many nanoseconds as fit into a signed number."""
    window = _window(over_s=10.0)
    for time_ns in (-1, 2**64 - 2, 2**64 - 1):
        window.push(time_ns, 1)
    window.expire(2**64 - 1)
    assert (window.count(), window.last()) == (2.0, 1.0)
    assert isinstance(window.last(), float)


def test_time_that_goes_back_expires_nothing_early() -> None:
    """Values expire in the order in which they came."""
    window = _window(over_s=10.0)
    for seconds, value in ((100, 1.0), (95, 2.0), (101, 3.0)):
        window.push(seconds * SECOND, value)
    window.expire(109 * SECOND)
    assert window.count() == 3
    window.expire(110 * SECOND)
    assert (window.count(), window.first()) == (1, 3.0)


def test_a_long_window_keeps_little_more_than_it_holds() -> None:
    """What it has let go of is not kept for as long again: of thousands of values, hundreds."""
    window, most = _window(last=5000), 0
    for number in range(12_000):
        window.push(number, float(number))
        most = max(most, len(window.tape.values))
    assert (window.first(), window.count()) == (7000.0, 5000.0)
    assert 5000 < most < 5600
