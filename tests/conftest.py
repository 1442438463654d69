"""What holds for all tests: none finds what another left behind."""

from __future__ import annotations

from itertools import count

import pytest

_numbers = count()


@pytest.fixture(autouse=True)
def own_spool(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Emitters that a test starts keep what they cannot deliver where no other looks for it."""
    folder = tmp_path_factory.getbasetemp() / f"spool-{next(_numbers)}"
    monkeypatch.setenv("TRAINWARDEN_SPOOL", str(folder))
