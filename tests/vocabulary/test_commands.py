"""Commands and acknowledgements as messages."""

from __future__ import annotations

import json

from emitter.vocabulary import commands
from emitter.vocabulary.commands import Ack


def test_two_supervisors_answers_are_two_events() -> None:
    """Neither speaks for a rank, so their nodes tell them apart."""
    answers = [
        Ack(
            "c",
            "run",
            commands.SUCCEEDED,
            "2026-01-01T00:00:00Z",
            executor="supervisor",
            detail={"node": node},
        )
        for node in ("a", "b")
    ]
    assert [json.loads(answer.encode())["id"] for answer in answers] == [
        f"c/0/{node}/supervisor/succeeded" for node in ("a", "b")
    ]
