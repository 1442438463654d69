"""Runs side by side as a page, or as JSON."""

from __future__ import annotations

from typing import Any

from emitter.vocabulary.cloudevents import finite
from stream.report import sidebyside
from stream.report.comparing import Comparison
from stream.report.overlay import overlay
from stream.report.pages import common
from stream.report.rendering import render


def page(found: Comparison, form: str) -> str:
    """The page in this format."""
    parted = [one.step for one in found.parting if one.step is not None]
    return render(
        f"compare.{form}.j2", found=found, titles=sidebyside.titles(found.sides),
        sections=sidebyside.sections(found), losses=sidebyside.losses(found),
        partings=sidebyside.partings(found), chart=overlay(found.series, parted), **common(),
    )  # fmt: skip


def to_json(found: Comparison) -> dict[str, Any]:
    """All of it; what is not finite as a text."""
    result: dict[str, Any] = finite(found.to_json())
    return result
