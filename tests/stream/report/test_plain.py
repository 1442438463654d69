"""Others' text is shown as text and nothing else."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stream.report import plain
from stream.report.rendering import _bdi, _html_prose
from tests.stream.report.rig import HOSTILE

SPECIAL = st.text(
    st.sampled_from("\\`*_{}[]()#+-.!|~$@^<>&:/=\"' \n\tab1\u202e\u05d0\x1b\x00\u2066wh"), max_size=40
)
TEXTS = st.one_of(SPECIAL, st.text(max_size=40), st.just(HOSTILE))
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _all(tokens: list[Token]) -> list[Token]:
    return [inner for token in tokens for inner in (token, *_all(token.children or []))]


def _shown(text: str) -> str:
    return text.replace("\u2068", "").replace("\u2069", "")


@given(TEXTS)
def test_a_cell_of_markdown_is_one_cell_of_text(text: str) -> None:
    """A parser of Markdown finds a table of three cells, and in the middle one this text alone."""
    tokens = PARSER.parse(f"| a | b | c |\n|---|---|---|\n| x | {plain.markdown(text)} | y |\n")
    cells = [token for token in tokens if token.type == "inline"][3:]
    assert len(cells) == 3
    kinds = {token.type for token in _all(cells[1:2])} - {"inline"}
    assert kinds <= {"text", "text_special"}, kinds
    shown = "".join(token.content for token in cells[1].children or [])
    assert _shown(shown) == _shown(plain.line(text))


@given(TEXTS)
def test_a_block_of_code_ends_where_we_end_it(text: str) -> None:
    """Whatever fences are in it."""
    (token,) = PARSER.parse(plain.fenced(text, 1000))
    assert (token.type, token.content) == ("fence", plain.clean(text, 1000) + "\n")


class _Read(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(TEXTS)
def test_html_holds_no_tag_but_ours(text: str) -> None:
    """And shows the text."""
    reader = _Read()
    reader.feed(str(_bdi(text)))
    reader.close()
    assert reader.tags == ["bdi"]
    assert reader.text == plain.clean(text)


@given(TEXTS)
def test_prose_holds_code_at_most(text: str) -> None:
    """A sentence of ours may quote others' text."""
    reader = _Read()
    reader.feed(str(_html_prose(text)))
    assert set(reader.tags) <= {"code"}


@given(TEXTS)
def test_nothing_invisible_is_left(text: str) -> None:
    """No control character, no escape, no mark that turns the text about."""
    shown = plain.clean(text)
    assert not [one for one in shown if unicodedata.category(one) == "Cc" and one not in "\n\t"]
    assert not {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"} & {
        unicodedata.bidirectional(one) for one in shown
    }


def test_a_long_text_is_cut_and_says_so() -> None:
    """Also where it was cut before it came here."""
    assert plain.clean("x" * 1_000_000, 5) == "xxxxx… (1,000,000 characters, 5 shown)"
    assert plain.clean("abcdef", 3, size=900) == "abc… (900 characters, 3 shown)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\u202eb", "a\\u202eb"),
        ("\u05d0", "\u2068\u05d0\u2069"),
        ("a\nb", "a b"),
    ],
)
def test_a_terminal_gets_one_line(text: str, shown: str) -> None:
    """With what it would obey spelled out."""
    assert plain.terminal(text) == shown
