"""What a process counted, over partitions that come and go."""

from __future__ import annotations

from stream.diagnose.engine import Engine
from stream.diagnose.inbox import Inbox
from stream.diagnose.partition import Partition
from stream.diagnose.tally import Tally
from stream.rulelang.model import RuleSet

RULES = RuleSet((), ())


def _partition(events: int) -> Partition:
    partition = Partition(b"", Engine(RULES))
    partition.engine.counts.events = events
    return partition


def test_the_past_of_a_snapshot_is_not_ours() -> None:
    """A partition taken over with a million events behind it adds what comes from now on."""
    inbox = Inbox(RULES, b"")
    tally, taken = Tally(inbox), _partition(1_000_000)
    inbox.begin(0, taken)
    tally.begin(0)
    taken.engine.counts.events += 5
    assert tally.totals()["events"] == 5


def test_sums_never_go_back() -> None:
    """Also when partitions begin afresh, go, and come back from another worker."""
    inbox = Inbox(RULES, b"")
    tally, first = Tally(inbox), _partition(0)
    inbox.begin(0, first)
    tally.begin(0)
    first.engine.counts.events = 7
    inbox.begin(1, _partition(0))
    assert tally.totals()["events"] == 7
    inbox.keep([1])
    assert tally.totals()["events"] == 7
    inbox.keep([0, 1])
    again = _partition(50)
    inbox.begin(0, again)
    tally.begin(0)
    again.engine.counts.events += 1
    assert tally.totals()["events"] == 8
    # Begun afresh by the inbox itself: it has no past.
    inbox.begin(0, _partition(4))
    assert tally.totals()["events"] == 12
    assert tally.runs() == 0
    assert tally.behind_s(1) == {}
