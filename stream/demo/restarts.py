"""Parts of the stack that the demo kills while the fault is under way, and starts again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from emitter.vocabulary.diagnoses import FIRING
from stream.demo.fault import UsageError
from stream.demo.story import Story
from stream.parts import GATEWAY, HISTORY, LOOP

DIAGNOSIS: Final = "diagnosis"
PARTS: Final = {"worker": LOOP, "gateway": GATEWAY, "history": HISTORY}
_WAYS: Final = {"kill": True, "stop": False}


@dataclass
class Restart:
    """``kill`` (SIGKILL) or stop ``part`` once this step was seen, or at the first diagnosis (None)."""

    part: str
    kill: bool
    step: int | None
    done_ns: int | None = None
    """When it was ended."""

    def due(self, story: Story) -> bool:
        """Whether the time has come."""
        if self.done_ns is not None:
            return False
        if self.step is None:
            return any(diagnosis.state == FIRING for _, diagnosis in story.diagnoses)
        return bool(story.steps) and story.steps[-1].step >= self.step

    def __str__(self) -> str:
        return f"{self.part} {'killed' if self.kill else 'stopped'}"


def parse(texts: Sequence[str]) -> list[Restart]:
    """Each as WAY-PART@STEP or WAY-PART@diagnosis. Raises UsageError."""
    return [_parse(text) for text in texts]


def _parse(text: str) -> Restart:
    what, _, when = text.partition("@")
    way, _, part = what.partition("-")
    number = when.isascii() and when.isdigit()
    if way not in _WAYS or part not in PARTS or not (number or when == DIAGNOSIS):
        raise UsageError(
            f"restart: expected kill- or stop- with one of {', '.join(PARTS)}, and @STEP or @{DIAGNOSIS}, "
            f"got {text!r}"
        )
    return Restart(PARTS[part], _WAYS[way], int(when) if number else None)
