"""The protocol searched exhaustively: no two ranks pass the agreed step with different decisions."""

from __future__ import annotations

import pytest

from tests.emitter.agreement.model import Model


@pytest.mark.parametrize(("ranks", "steps", "proposals", "faults"), [(2, 2, 1, 0), (2, 1, 1, 1)])
def test_no_split_and_no_deadlock(ranks: int, steps: int, proposals: int, faults: int) -> None:
    """Whatever comes or dies when: all that pass the count have decided alike, and nobody waits on."""
    found = Model(ranks, steps, proposals, faults, ends=False).search()

    print(f"{ranks} ranks, {steps} steps, {proposals} rounds, {faults} faults: {found.states} states")
    assert (found.split, found.stuck) == (None, None)
    assert found.states > 1000
