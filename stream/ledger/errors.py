"""LedgerError
├── UnknownIdError   nothing has this id; the message names the nearest ones
├── AmbiguousIdError several things have an id that begins like this
├── NotHeldError     the command does not wait for approval
├── NoRunError       no run has this id or name
├── UnreachableError the broker does not answer
└── NobodyError      nobody answered in time
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 3


class LedgerError(Exception):
    """The message says what is wrong and the cure, in one sentence."""


class UnknownIdError(LedgerError):
    """Nothing has this id; the message names the nearest ones."""

    def __init__(self, what: str, wanted: str, known: Iterable[str], cure: str) -> None:
        near = nearest(wanted, known)
        hint = f"; did you mean {' or '.join(near)}?" if near else f"; {cure}"
        super().__init__(f"no {what} has the id {wanted}{hint}")


class AmbiguousIdError(LedgerError):
    """Several things have an id that begins like this."""

    def __init__(self, wanted: str, found: Sequence[str]) -> None:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        listed = ", ".join(found[:SHOWN])
        super().__init__(f"{wanted} is how {len(found)} ids begin: {listed}{more}; give more of it")


class NotHeldError(LedgerError):
    """The command does not wait for approval; the message says what became of it."""


class NoRunError(LedgerError):
    """No run has this id or name."""


class UnreachableError(LedgerError):
    """The broker does not answer."""


class NobodyError(LedgerError):
    """Nobody answered in time."""


def nearest(wanted: str, known: Iterable[str]) -> list[str]:
    """The ids most like this one; those with the same beginning first."""
    ids = sorted(set(known))
    same = [one for one in ids if len(wanted) >= 4 and one.startswith(wanted[:4])]
    close = difflib.get_close_matches(wanted, ids, n=SHOWN, cutoff=0.6)
    return list(dict.fromkeys([*close, *same]))[:SHOWN]
