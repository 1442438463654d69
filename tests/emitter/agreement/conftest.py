"""torch is imported once for all ranks of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emitter.agreement.forked import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """What forks ranks."""
    made = Forks()
    yield made
    made.close()
