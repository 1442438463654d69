"""Signatures of messages, and the file of trusted keys."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.signing import SignatureError, TrustedKeys, ed25519, key_id, verify
from emitter.signing.checking import Keys
from emitter.signing.trusted import KeyLineError, PublicKey, parse_line, public_key
from emitter.vocabulary import topics
from tests.keys import Held, Pair

PAIR, OTHER = Pair("ours"), Pair("other")


def reason(payload: bytes, headers: dict[str, bytes], trusted: Keys) -> str:
    """Why the message is not believed."""
    with pytest.raises(SignatureError) as refused:
        verify(payload, headers, trusted)
    assert refused.value.detail["error"] == str(refused.value)
    return refused.value.reason


@given(st.binary(max_size=300))
def test_what_a_trusted_key_signed_is_believed(payload: bytes) -> None:
    """Any bytes will do; the answer is the id of the key."""
    assert verify(payload, PAIR.headers(payload), Held(PAIR, OTHER)) == PAIR.public.id


@given(st.binary(min_size=1, max_size=300), st.data())
def test_one_altered_bit_is_noticed(payload: bytes, data: st.DataObject) -> None:
    """Whichever bit of the value is turned, the signature does not fit any more."""
    place = data.draw(st.integers(0, len(payload) * 8 - 1))
    altered = bytearray(payload)
    altered[place // 8] ^= 1 << place % 8

    assert reason(bytes(altered), PAIR.headers(payload), Held(PAIR)) == "bad_signature"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({topics.HEADER_KEY_ID: b""}, "unsigned"),
        ({topics.HEADER_SIGNATURE: b""}, "unsigned"),
        ({topics.HEADER_KEY_ID: b"0123456789abcdef"}, "unknown_key"),
        ({topics.HEADER_KEY_ID: b"\xff\x00" * 500}, "unknown_key"),
        ({topics.HEADER_KEY_ID: OTHER.public.id.encode()}, "bad_signature"),
        ({topics.HEADER_SIGNATURE: b"not base64!"}, "bad_signature"),
        ({topics.HEADER_SIGNATURE: b"AAAA"}, "bad_signature"),
        ({topics.HEADER_SIGNATURE: OTHER.headers(b"x")[topics.HEADER_SIGNATURE]}, "bad_signature"),
    ],
)
def test_headers_that_do_not_fit_are_refused(change: dict[str, bytes], expected: str) -> None:
    """A header that is missing, altered or of another key gives its reason."""
    assert reason(b"x", {**PAIR.headers(b"x"), **change}, Held(PAIR, OTHER)) == expected


def test_file_of_trusted_keys_is_read_anew_for_each_message(tmp_path: Path) -> None:
    """Adding a line trusts a key at once, taking it out revokes it; no file trusts nobody."""
    path = tmp_path / "trusted_keys"
    trusted, headers = TrustedKeys(path), PAIR.headers(b"x")
    assert reason(b"x", headers, trusted) == "unknown_key"
    for _ in range(3):
        path.write_text(f"# ours\n\n{PAIR.public.line()}  # of the cluster\n")
        assert verify(b"x", headers, trusted) == PAIR.public.id
        # As long as before, and perhaps within the same tick of the file system's clock.
        path.write_text(path.read_text().replace(PAIR.public.line(), OTHER.public.line()))
        assert reason(b"x", headers, trusted) == "unknown_key"


def test_bad_lines_cost_one_warning_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A line that is no key is named with its number, once; the others count."""
    path = tmp_path / "trusted_keys"
    path.write_text(f"ssh-ed25519 AAAA me\n{PAIR.public.line()}\ned25519 AAAA\n")
    trusted = TrustedKeys(path)
    with caplog.at_level(logging.WARNING, "emitter"):
        assert [key.name for key in trusted.all() + trusted.all()] == ["ours", "ours"]

    assert len(caplog.messages) == 2
    assert "line 1: expected `ed25519 BASE64 NAME`" in caplog.messages[0]
    assert "got 'ssh-ed25519 AAAA me'" in caplog.messages[0]


def test_file_that_anybody_may_write_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever could add a key could command the trainer."""
    path = tmp_path / "trusted_keys"
    path.write_text(PAIR.public.line())
    path.chmod(0o666)
    with caplog.at_level(logging.WARNING, "emitter"):
        assert reason(b"x", PAIR.headers(b"x"), TrustedKeys(path)) == "unknown_key"
    assert "chmod o-w" in caplog.text


def test_file_that_cannot_be_read_trusts_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder in its place is said, and costs nothing else."""
    with caplog.at_level(logging.WARNING, "emitter"):
        assert TrustedKeys(tmp_path).all() == []
    assert "cannot be read (Is a directory), so nobody is trusted" in caplog.text


@given(st.text(max_size=80))
def test_lines_are_keys_or_errors_of_ours(line: str) -> None:
    """Whatever a line holds, it is a key, nothing, or one error."""
    with contextlib.suppress(KeyLineError):
        found = parse_line(line)
        assert found is None or len(found.raw) == 32


@given(st.binary(min_size=32, max_size=32), st.text("abc -_.@", max_size=20))
def test_keys_survive_their_line(raw: bytes, name: str) -> None:
    """A line gives back the key that was written."""
    key = public_key(raw, name.strip())
    assert parse_line(key.line()) == PublicKey(key_id(raw), raw, name.strip())


def test_signatures_are_those_of_rfc_8032() -> None:
    """The second test vector of the standard, section 7.1."""
    private = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert ed25519.sign(private, b"\x72") == signature
    assert ed25519.is_signed(public, signature, b"\x72")


def test_importing_does_not_load_cryptography() -> None:
    """A trainer without commands never pays for it."""
    code = "import sys, emitter, emitter.signing; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
