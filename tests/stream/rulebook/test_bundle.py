"""Bundles: texts that determine a rule set, wherever they lie."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import resources
from stream.rulebook import bundle
from stream.rulebook.bundle import Bundle, BundleError
from stream.rulelang import load_packs

SHIPPED = resources.path("rules")
TEXTS = st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=200), max_size=5)


@given(
    TEXTS,
    st.dictionaries(
        st.text(min_size=1, max_size=10), st.floats(allow_nan=False, allow_infinity=False), max_size=3
    ),
)
def test_what_is_encoded_comes_back(texts: dict[str, str], params: dict[str, float]) -> None:
    """Any texts and params survive the wire, with their digest."""
    one = Bundle(texts, params)
    again = bundle.decode(one.encode())
    assert (again.texts, again.digest) == (one.texts, one.digest)


def test_the_digest_is_of_the_content_not_of_the_place(tmp_path: Path) -> None:
    """The same files elsewhere are the same bundle; one letter more is another."""
    copy = tmp_path / "copy"
    shutil.copytree(SHIPPED, copy)
    before = bundle.read([SHIPPED])
    assert bundle.read([copy]).digest == before.digest
    page = next(copy.rglob("runbooks/*.md"))
    page.write_text(page.read_text() + "\n- One thing more.\n")
    assert bundle.read([copy]).digest != before.digest
    assert Bundle(before.texts, {"loss-spike.z_limit": 5.0}).digest != before.digest


def test_a_bundle_is_the_rule_set_of_its_files() -> None:
    """Ids, versions and suggestions are those that the files give."""
    rules = bundle.loaded(bundle.read([SHIPPED]).encode()).rules
    expected = load_packs([SHIPPED]).rules
    assert [(rule.id, rule.version, rule.suggestions) for rule in rules] == [
        (rule.id, rule.version, rule.suggestions) for rule in expected
    ]


def test_what_was_loaded_from_files_is_not_loaded_again() -> None:
    """A bundle's rules are remembered by its bytes; of many bundles the newest are."""
    encoded, rules = bundle.read([SHIPPED]).encode(), load_packs([SHIPPED])
    bundle.remember(encoded, rules)
    assert bundle.loaded(encoded) is rules
    for number in range(9):
        bundle.remember(b"%d" % number, rules)
    again = bundle.loaded(encoded)
    assert again is not rules
    assert bundle.loaded(encoded) is again


def test_a_single_file_brings_its_pages(tmp_path: Path) -> None:
    """A pack named alone is read with the runbooks beside it; two with the same name stay apart."""
    file = next(SHIPPED.rglob("loss-spike.yaml"))
    alone = bundle.read([file])
    assert {rule.id for rule in load_packs([file.parent]).rules} > {"loss-spike"}
    assert "runbooks/loss-spike.md" in alone.texts
    other = tmp_path / "loss-spike.yaml"
    other.write_text("pack: other\nrules: []\n")
    assert {"0/loss-spike.yaml", "1/loss-spike.yaml"} <= set(bundle.read([file, other]).texts)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "not a bundle"),
        (b"no zlib", "not a bundle"),
        (zlib.compress(b'{"texts": 3}'), "not a bundle"),
        (zlib.compress(b" " * (bundle.MAX_BYTES + 1)), "at most 16,000,000 bytes"),
    ],
)
def test_other_bytes_are_refused(payload: bytes, message: str) -> None:
    """Malformed and oversized bytes are one clear error."""
    with pytest.raises(BundleError, match=message):
        bundle.decode(payload)
