"""The sieve in front of the log rules: it may let too much through, never too little."""

from __future__ import annotations

import io
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.diagnose.logmatch import LogMatcher
from stream.offline.opening import Opened
from stream.offline.points import Notes
from stream.offline.sieve import Sieve
from stream.offline.textlog import _cleaned, read
from stream.rulelang import load_text
from tests.stream.offline.packs import ruleset

RULES = ruleset()
SIEVE = Sieve(RULES.rules)
MATCHER = LogMatcher(RULES.rules)

_PIECES = st.sampled_from(
    [
        "GPU 3 is full", "CUDA out of ", "memory", "\x1b[31m", "\x1b[0m", "[rank3]: ", "[default0]:", "7: ",
        " ",        "\u00e9", "\udcff", "caught and retried", "\r", "step 1", "GPU", "\t",
    ]
)  # fmt: skip
_LINES = st.lists(st.lists(_PIECES, max_size=6).map("".join), max_size=8)


@settings(max_examples=60)
@given(_LINES)
def test_a_block_with_a_line_that_a_rule_matches_is_let_through(texts: list[str]) -> None:
    """Whatever prefixes, colours and broken bytes are in the lines."""
    lines = [text.encode("utf-8", "surrogateescape") for text in texts]
    texts = [line.decode("utf-8", "replace") for line in lines]
    cleaned = [_cleaned(text, labelled)[0] for text in texts for labelled in (False, True)]

    if any(MATCHER.match(line) for line in cleaned):
        assert SIEVE.lets_through(b"\n".join(lines) + b"\n")


def test_a_block_that_says_nothing_is_held_back() -> None:
    """That is what it is for."""
    assert not SIEVE.lets_through(b"NCCL INFO Channel 00/0 : 1[1] -> 2[2] via P2P\n" * 100)


def test_rules_that_read_every_line_get_every_line() -> None:
    """A rule on train.log without patterns, or one whose pattern is about the whole text."""
    head = "pack: p\nrules:\n  - id: a\n    category: custom.x\n    summary: s\n    on: train.log\n"
    for tail in ("    when: severity > 16\n", "    match: ['\\Aboom\\z']\n"):
        assert Sieve(load_text(head + tail, Path("a.yaml")).rules).lets_through(b"anything\n")


def test_without_log_rules_nothing_is_let_through() -> None:
    """Numbers are still read."""
    assert not Sieve(()).lets_through(b"anything\n")


_WRITTEN = st.lists(
    st.builds(
        "{}{}".format,
        st.sampled_from(["", "", "[default0]:", "[default1]:", "\x1b[32m"]),
        st.one_of(
            st.integers(0, 99).map(" {0}%|###   | {0}/100 [00:01<00:02, 3.0it/s]".format),
            st.integers(0, 99).map("{{'loss': {0}.5, 'epoch': 0.{0}}}".format),
            st.sampled_from(["NCCL INFO 50%| done", "", "iteration 7 | lm loss: 2.5 |"]),
        ),
    ),
    max_size=12,
)


@settings(max_examples=150)
@given(_WRITTEN)
def test_a_block_without_log_findings_gives_the_same_steps(texts: list[str]) -> None:
    """Whether it is read line by line or only where something counts: progress bars say the step by rank."""
    stream = "".join(f"{text}\n" for text in texts).encode()

    def steps(sieve: Sieve | None) -> list[tuple[object, ...]]:
        source = Opened("any.log", io.BufferedReader(io.BytesIO(stream)), "")
        points = [point for point in read(source, Notes("any.log"), sieve) if point.name != "train.log"]
        return [(one.line, one.step, one.rank, one.values) for one in points]

    assert steps(Sieve(())) == steps(None)
