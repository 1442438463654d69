"""What holds for all tests: none finds what another left behind."""

from __future__ import annotations

import os
from itertools import count

import pytest
from hypothesis import HealthCheck, settings

# Timing never decides a test; in CI hypothesis is deterministic by a profile of its own.
_base = settings.get_profile("ci" if os.environ.get("CI") else "default")
settings.register_profile("here", _base, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

_numbers = count()


@pytest.fixture(autouse=True)
def own_spool(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Emitters that a test starts keep what they cannot deliver where no other looks for it."""
    folder = tmp_path_factory.getbasetemp() / f"spool-{next(_numbers)}"
    monkeypatch.setenv("TRAINWARDEN_SPOOL", str(folder))
