"""Rule files, damaged in every way, load or name their mistakes."""

from __future__ import annotations

import pytest

from tests.fuzz import campaign
from tests.fuzz.rule_files import RuleFiles

CASES = 400


def test_damaged_packs(capsys: pytest.CaptureFixture[str]) -> None:
    """Shipped packs with changes: rules, or mistakes with their places; no crash and no hang."""
    campaign.in_ci(RuleFiles(), CASES, capsys)


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_damaged_packs_all_night(capsys: pytest.CaptureFixture[str]) -> None:
    """The same for as long as TRAINWARDEN_FUZZ_S says, with cases that no night had before."""
    campaign.all_night(RuleFiles(), capsys)
