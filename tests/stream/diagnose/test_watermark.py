"""The watermark by the clock: what was read waits for the lateness, at any speed and through any outage."""

from __future__ import annotations

import pytest

from stream.diagnose.clock import Clock
from stream.diagnose.passing import MOST
from stream.diagnose.paths import PATIENCE_NS
from stream.diagnose.watermark import APPEAR_NS, Watermark
from stream.events import Resource
from tests.stream.diagnose.stories import SECOND, tick

LATENESS = 5 * SECOND


class _Path:
    """A clock and a watermark that hears of its ticks; as it was saved and loaded at any moment."""

    def __init__(self, world: int = 2) -> None:
        self.clock, self._mark, self._world = Clock(), Watermark(LATENESS), world

    @property
    def mark(self) -> Watermark:
        self._mark = Watermark.load(LATENESS, self._mark.save())
        return self._mark

    def tick(self, at: float, partition: int = 0, sources: int = 1, gateway: str | None = None) -> None:
        beacons = {} if gateway is None else {gateway: at}
        if self.clock.advance(tick(at, partition=partition, sources=sources, gateways=beacons)):
            self.mark.tick(self.clock)

    def hear(
        self, rank: int, at: float, partition: int = 0, gateway: str | None = None, in_order: bool = True
    ) -> None:
        resource = Resource("run", rank=rank, world_size=self._world, role="trainer", gateway=gateway)
        reading = self.clock.reading("otlp_logs", partition)
        self.mark.hear(f"e{rank}", resource, round(at * SECOND), in_order, reading)

    @property
    def bounded(self) -> float:
        """The level that waits for nobody who says nothing, in seconds."""
        return self.mark.levels()[1] / SECOND

    @property
    def strict(self) -> float:
        return self.mark.levels()[0] / SECOND


def test_what_was_read_has_passed_when_the_clock_went_on_by_the_lateness() -> None:
    """Counted from the first tick after it was read; the rank that stopped is not waited for any longer."""
    path = _Path()
    for second in range(8):
        path.tick(second)
        path.hear(0, second + 0.5)
        if second == 0:
            path.hear(1, 0.4)
    assert path.bounded == 1.5
    path.tick(20)
    path.tick(24)
    assert path.bounded == 6.5
    path.tick(25)
    assert path.bounded == 20


def test_a_backlog_waits_as_long_as_what_is_new() -> None:
    """Two minutes of one rank, all at once, do not overtake the other, whose two minutes come later."""
    path = _Path()
    for second in (0, 1):
        path.tick(second)
        for rank in range(2):
            path.hear(rank, second + rank / 10)
    path.tick(120)
    path.tick(125)
    for second in range(2, 120):
        path.hear(0, second)
    path.tick(126)
    path.tick(129)
    assert (path.strict, path.bounded) == (1.1, 1.1)
    for second in range(2, 119):
        path.hear(1, second + 0.1)
    assert path.strict == pytest.approx(118.1)
    path.tick(130)
    path.tick(131)
    assert path.bounded == 118.1
    path.tick(135)
    assert path.bounded == 124


def test_who_is_still_sending_what_it_kept_is_waited_for() -> None:
    """While it is heard; one that falls silent is not, and a clock that is always behind is no backlog."""
    path = _Path(world=3)
    for second in range(100, 110):
        path.tick(second)
        for rank in range(3):
            path.hear(rank, second - (50 if rank == 2 else 0))
    for second in range(200, 220):
        path.tick(second)
        path.hear(0, second)
        path.hear(1, second - 90)
        path.hear(2, second - 50)
    assert path.bounded == 219 - 90 - 1
    for second in range(220, 231):
        path.tick(second)
        path.hear(0, second)
        path.hear(2, second - 50)
    assert path.bounded == 224


def test_the_clock_counts_while_the_gateways_send_beacons() -> None:
    """Through an outage of minutes nothing passes, however far the clock goes on."""
    path = _Path()
    path.tick(0, gateway="g")
    for second in range(1, 14):
        path.tick(second, gateway="g" if second % 5 == 0 else None)
        for rank in range(2):
            path.hear(rank, second, gateway="g")
    for second in range(14, 200):
        path.tick(second)
    assert path.bounded == 4
    path.tick(200, gateway="g")
    assert path.bounded == 195


def test_one_gateway_of_several_is_waited_for_in_patience_only() -> None:
    """Its node may be lost for good. One that never sent a beacon is waited for as long."""
    for beacons in (("g", None), ("g", "h")):
        path = _Path()
        path.tick(0, gateway="h")
        path.tick(1, gateway="g")
        for rank, gateway in enumerate(("g", "h")):
            path.hear(rank, 1, gateway=gateway)
        for second in range(2, 200):
            path.tick(second, gateway="g")
            path.hear(0, second, gateway="g")
        assert path.bounded == 199 - PATIENCE_NS / SECOND - 5 - 1, beacons
    path = _Path()
    path.tick(0)
    for second in range(1, 200):
        path.hear(0, second, gateway="g")
        path.tick(second)
    assert path.bounded == 199 - PATIENCE_NS / SECOND - 5


def test_a_partition_that_is_read_ahead_hurries_nobody() -> None:
    """Half an hour of one partition before the first record of another: each counts by its own clock."""
    path = _Path()
    for partition in (0, 1):
        path.tick(0, partition, sources=2)
        path.hear(partition, 0, partition)
    for second in range(1, 1800):
        path.hear(0, second, 0)
        path.tick(second, 0, sources=2)
    for second in range(1, 1000):
        path.tick(second, 1, sources=2)
    assert 999 - 5 - 8 <= path.bounded <= 999 - 5


def test_spans_say_nothing_of_how_far_records_have_come() -> None:
    """They come by other partitions, which have no ticks; where there is nothing else they do."""
    for numbered in (True, False):
        path = _Path()
        path.tick(0)
        if numbered:
            path.hear(0, 0.5)
        path.hear(1, 90, in_order=False)
        path.tick(1)
        path.tick(7)
        assert path.bounded == (2 if numbered else 90)


def test_a_trainer_whose_clock_is_behind_counts_from_when_it_was_read() -> None:
    """Silence ends as much later."""
    path = _Path()
    path.tick(700)
    for rank in range(2):
        path.hear(rank, 100)
    path.tick(701)
    path.tick(710)
    assert path.bounded == 105


def test_ranks_that_never_came_are_not_waited_for_after_a_minute() -> None:
    """Of what has passed: a backlog is no minute."""
    path = _Path(world=3)
    path.tick(0)
    path.hear(0, 0)
    path.tick(1)
    for second in range(1, 100):
        path.hear(0, second)
    path.hear(1, 0.5)
    assert path.strict < 0
    path.tick(2)
    path.tick(2 + 5)
    assert path.strict == path.bounded == 99
    assert APPEAR_NS < 99 * SECOND


def test_the_state_is_bounded() -> None:
    """Through an hour without a beacon, with a record of each of many partitions at every tick."""
    path, partitions = _Path(), 8
    path.tick(0, gateway="g")
    path.hear(0, 0, gateway="g")
    mark = path.mark
    for second in range(1, 3600):
        for partition in range(partitions):
            resource = Resource("run", rank=partition, world_size=8, gateway="g")
            reading = path.clock.reading("otlp_logs", partition)
            mark.hear(f"e{partition}", resource, second * SECOND, True, reading)
        for partition in range(partitions):
            path.clock.advance(tick(second + partition / 10, partition=partition, sources=partitions))
            mark.tick(path.clock)
    assert len(mark.save()[8][1]) <= MOST
