"""Settings of the schema."""

from __future__ import annotations

import pytest

from stream.history.errors import SettingError
from stream.history.settings import DEFAULT_DAYS, from_environment, parse_retention


def test_without_settings_the_defaults_hold_and_there_is_no_cluster() -> None:
    """An empty environment gives a single server and the documented retention."""
    settings = from_environment({})

    assert settings.cluster is None
    assert dict(settings.days) == dict(DEFAULT_DAYS)


def test_retention_overrides_only_the_kinds_it_names() -> None:
    """``kind=days`` pairs change their kinds; spaces and a trailing comma are fine."""
    days = parse_retention(" logs=7, raw = 30 ,")

    assert days == {**DEFAULT_DAYS, "logs": 7, "raw": 30}


@pytest.mark.parametrize("text", ["log=7", "logs", "logs=", "logs=-1", "logs=1.5", "logs=a week"])
def test_a_retention_that_says_nothing_we_know_is_refused(text: str) -> None:
    """The error names the variable, what it takes and what came."""
    with pytest.raises(
        SettingError, match=r"TRAINWARDEN_RETENTION: expected KIND=DAYS with a kind out of dec"
    ):
        parse_retention(text)


def test_a_cluster_name_that_would_break_out_of_its_quotes_is_refused() -> None:
    """Only letters, digits, '_', '.' and '-' make a cluster name."""
    with pytest.raises(SettingError, match="TRAINWARDEN_CLICKHOUSE_CLUSTER: expected a name of letters"):
        from_environment({"TRAINWARDEN_CLICKHOUSE_CLUSTER": "x' SYNC"})
