"""When a worker calls itself stuck, and above all when not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.faustkit.stuck import Place, Standing, Stuck

PLACE: Place = ("otlp_logs", 1)
EVERY_S = 10.0
AFTER_S = 60.0


class Watch:
    """A clock, and looks at one partition."""

    def __init__(self, after_s: float = AFTER_S) -> None:
        self.now = 0.0
        self.stuck = Stuck(after_s, EVERY_S, lambda: self.now)

    def look(
        self, end: int, committed: int, *, passed_s: float = EVERY_S, excuse: str | None = None
    ) -> str | None:
        self.now += passed_s
        self.stuck.look({PLACE: Standing(end, committed)}, excuse)
        return self.stuck.reason


def test_records_pile_up_and_none_is_read() -> None:
    """Then it is stuck, says on what and for how long, and is well again once it reads."""
    watch = Watch()
    said = [watch.look(100 + n, 5) for n in range(8)]
    assert said[:7] == [None] * 7
    assert said[7] == "otlp_logs[1]: 102 records wait and none was read for 70 s"
    assert watch.look(110, 6) is None


def test_far_behind_is_not_stuck() -> None:
    """As long as it reads at all."""
    watch = Watch()
    assert {watch.look(10**9 + 1000 * n, n) for n in range(100)} == {None}


def test_records_that_cannot_be_read_are_not_waited_for() -> None:
    """Where nothing new comes: what compaction or a transaction left behind looks like a record before it."""
    watch = Watch()
    assert {watch.look(100, 98) for _ in range(100)} == {None}


def test_who_waits_for_others_is_not_stuck() -> None:
    """A broker or a ClickHouse that takes nothing; time counts anew when they are back."""
    watch = Watch()
    assert {watch.look(100 + n, 5, excuse="ClickHouse takes no inserts") for n in range(100)} == {None}
    assert {watch.look(200 + n, 5) for n in range(6)} == {None}


def test_time_that_nobody_looked_does_not_count() -> None:
    """A process that was stopped for an hour, or a broker that did not answer."""
    watch = Watch()
    watch.look(100, 5)
    watch.look(101, 5)
    assert watch.look(102, 5, passed_s=3600.0) is None


def test_a_partition_that_went_to_another_worker_is_forgotten() -> None:
    """And begins anew when it comes back."""
    watch = Watch()
    for n in range(7):
        watch.look(100 + n, 5)
    watch.now += EVERY_S
    watch.stuck.look({})
    assert watch.stuck.reason is None
    assert watch.look(200, 5) is None


def test_never_means_never() -> None:
    """--stuck-after 0."""
    watch = Watch(after_s=0.0)
    assert {watch.look(100 + n, 5) for n in range(1000)} == {None}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2), st.booleans()), max_size=60))
def test_whoever_commits_often_enough_is_never_stuck(looks: list[tuple[int, int, bool]]) -> None:
    """Whatever else happens: between two commits or excuses there is less than the limit."""
    watch, end, committed, still_s = Watch(), 0, 0, 0.0
    for new, read, excused in looks:
        end += new + read
        committed += read
        still_s = 0.0 if read or excused else still_s + EVERY_S
        reason = watch.look(end, committed, excuse="others" if excused else None)
        assert reason is None or still_s > AFTER_S
