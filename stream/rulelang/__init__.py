"""The rule language (docs/rules.md): packs in YAML, checked completely, compiled to functions."""

from stream.rulelang.errors import RuleError, RuleErrors
from stream.rulelang.load import load_packs, load_text, load_texts, read_texts
from stream.rulelang.model import Action, Pack, Rule, RuleSet

__all__ = [
    "Action", "Pack", "Rule", "RuleError", "RuleErrors", "RuleSet", "load_packs", "load_text", "load_texts",
    "read_texts",
]  # fmt: skip
