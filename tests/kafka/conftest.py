"""The tests of this folder are about Apache Kafka and nothing else."""

from __future__ import annotations

import os

import pytest

from tests.fixtures import APACHE, ENV_TEST_KAFKA


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """host:port of a real Apache Kafka with our topics."""
    if os.environ.get(ENV_TEST_KAFKA) != APACHE:
        pytest.fail(f"run these with `make test-kafka`, which sets {ENV_TEST_KAFKA}={APACHE}")
    bootstrap: str = request.getfixturevalue("broker")
    return bootstrap
