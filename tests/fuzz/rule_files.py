"""Rule files that are nearly right: they load, or the mistakes are named."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Final

from stream import resources
from stream.rulelang import RuleErrors, RuleSet, load_packs
from tests.fuzz.mutation import mutated

_LINES: Final = r"""
(
)
((((((((((
 and
 or
not
x if y else z
**
9**9**9
<<
1e308
0x10
1_0
'
"
\
lambda: 0
__import__('os')
().__class__
field('loss')
mean(loss, over='9999999d')
ewma(loss, 0)
quantile(loss, 2, over=10)
slope(loss, over=0)
prev(loss, 99999999)
count()
for: 99999999999d
over: -1s
over: 1e9h
10m
by: [run, run, run]
when:
when: [
absent:
{loss:>999999999}
{loss!r}
{0}
{
}
{{
{loss:{loss}}
{loss.real}
{a[0]}
matches: '(a+)+$'
matches: '(?<=x)'
matches: '.{1000}{1000}'
&a
*a
<<: *a
!!python/object:os.system
---
...
%YAML 9.9
?
#
|
>
|9
null
~
yes
2026-01-01
.nan
.inf
0o7
params:
then:
severity: bad
rules: []
pack: x
samples:
runbook: ../../../../etc/passwd
requires: [
for: 3
summary: ''
[!]
kind
"""
_WORDS: Final = (
    *_LINES.strip("\n").encode().split(b"\n"),
    *(b"\t", b"\0", b"\xc2\x85", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\n", b" ", b"\xff"),
    *(b"[" * 60, b"{" * 60, b"- " * 40, b"not " * 300, b"-" * 900, b"(" * 5000, b"1+" * 3000, b"1" * 400),
    *(b"id: " + b"a" * 300, b"matches: '" + b"(" * 2000 + b"'"),
)
_LONGEST: Final = 6000


def _seeds() -> list[bytes]:
    files = sorted(resources.path("rules").rglob("*.yaml"))
    return [text for text in (file.read_bytes() for file in files) if len(text) <= _LONGEST]


class RuleFiles:
    """``check`` raises for anything but rules or named mistakes."""

    def __init__(self) -> None:
        self._seeds = _seeds()
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name) / "pack.yaml"

    def make(self, numbers: Random) -> bytes:
        """A pack in bytes."""
        edges = _WORDS if numbers.random() < 0.8 else (numbers.choice(_WORDS) * numbers.choice((2, 50)),)
        return mutated(numbers, self._seeds, edges)

    def check(self, case: bytes) -> None:
        """Raises for what must not happen."""
        self._file.write_bytes(case)
        try:
            loaded = load_packs([self._file])
        except RuleErrors as errors:
            if not errors.errors or not all(error.line >= 1 for error in errors.errors):
                raise AssertionError(f"mistakes without a place: {errors}") from errors
            return
        assert isinstance(loaded, RuleSet)

    def finish(self) -> None:
        """Take the folder away."""
        self._folder.cleanup()
