"""Addresses, and what is said where nobody answers."""

from __future__ import annotations

import asyncio

import pytest

from stream import history
from stream.history.client import Address, error_code, first_line
from tests.fixtures import free_port


def test_an_address_with_everything() -> None:
    """User, password (percent-encoded), host, port and database are taken from the URL."""
    address = Address.parse("https://me:p%40ss@db.example:9443/training")

    assert address == Address(True, "db.example", 9443, "me", "p@ss", "training")
    assert str(address) == "https://me@db.example:9443/training"


@pytest.mark.parametrize(("url", "port"), [("http://h", 8123), ("https://h/", 8443), ("http://h:1/", 1)])
def test_ports_and_the_database_have_defaults(url: str, port: int) -> None:
    """ClickHouse's own ports, and the database ``default``."""
    address = Address.parse(url)

    assert (address.port, address.database) == (port, "default")


@pytest.mark.parametrize(
    "url", ["localhost:8123", "clickhouse://h", "http://", "http://h:x", "http://h/a/b", ""]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """The error says which form is expected and what came."""
    with pytest.raises(history.AddressError, match=r"ClickHouse: expected http\[s\]://\[user") as caught:
        history.connect(url)

    assert repr(url) in str(caught.value)


def test_nobody_listening_is_one_clear_error() -> None:
    """The address (without its password), what happened, and the cure."""
    url = f"http://me:secret@127.0.0.1:{free_port()}"

    with pytest.raises(
        history.UnreachableError, match=r"expected an answer from http://me@127\.0\.0\.1:"
    ) as caught:
        history.connect(url, wait_s=0.3)

    assert "within 0.3 s" in str(caught.value)
    assert "`trainwarden clickhouse` starts one" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_asyncio_client_says_the_same() -> None:
    """``connect_async`` raises the same error."""
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(history.UnreachableError, match="is it running"):
        asyncio.run(history.connect_async(url))


def test_the_code_of_an_error_is_found_in_its_text() -> None:
    """Older clients carry ClickHouse's code only in the message; a silent server has none."""
    assert error_code(RuntimeError("... Code: 60. DB::Exception: no table")) == 60
    assert error_code(OSError("refused")) is None
    assert first_line(OSError()) == "OSError"
