"""What became of one rule at one event: the record that ``explain`` is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stream.events import Event, Resource

MISSING: Final = "missing"
"""No sample: the event lacks the field named in ``detail``."""
UNMATCHED: Final = "unmatched"
"""No sample: the log line matches no pattern of the rule, or one of ``unless``."""
WHERE: Final = "where"
"""No sample: ``where`` does not hold."""
NO_MATCH: Final = "no match"
"""A sample for which ``when`` does not hold, nothing open."""
PENDING: Final = "pending"
"""A sample that matches, before ``for`` is reached; ``matches`` says how many in a row."""
FIRING: Final = "firing"
"""This sample made the diagnosis fire."""
HELD: Final = "held"
"""This sample would fire; whether a cause fires on another rank is decided a moment later."""
INHIBITED: Final = "inhibited"
"""This sample would fire, but the rule named in ``detail`` fires."""
EXCUSED: Final = "excused"
"""An absence that would fire, but what other ranks did before it means that it is none."""
STILL: Final = "still firing"
"""A sample while the diagnosis is open, that does not end it."""
RESOLVED: Final = "resolved"
"""The diagnosis ended; ``detail`` is the reason."""
LATE: Final = "late"
"""The event came after its turn had passed."""
REFUSED: Final = "refused"
"""The run has too many series already: this one is not judged."""


FREED: Final = "freed"
"""The detail of a firing that was kept quiet until its last cause ended."""


@dataclass(frozen=True)
class Fill:
    """How full one window is: ``count`` values; it holds at most ``last``, or those of ``over_s`` seconds."""

    count: int
    last: int | None = None
    over_s: float | None = None


@dataclass(frozen=True)
class Verdict:
    """One judgement. ``event`` is None where the clock or the end of an attempt brought it about.

    ``time`` is Unix nanoseconds. ``values`` holds the rule's fields and ``let`` values as the rule saw them
    (empty where the event was no sample), ``windows`` their fill before this sample in the order of the
    rule's program, ``for_s`` how long the samples have matched.
    """

    rule: str
    key: tuple[Any, ...]
    outcome: str
    time: int
    resource: Resource | None = None
    event: Event | None = None
    detail: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    windows: tuple[Fill, ...] = ()
    matches: int = 0
    for_s: float = 0.0


Watch = Callable[[Verdict], None]
Outcome = tuple[str, str]
"""One of the words above, and its detail."""
