"""The demo's result: how long each hop took, which checks held, where to look; for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from emitter.vocabulary import commands, diagnoses
from emitter.vocabulary.cloudevents import finite
from stream.demo import slow, supervised
from stream.demo.checks import Check, Evidence
from stream.demo.restarts import Restart
from stream.demo.story import Story

_NS = 1e9


@dataclass(frozen=True)
class Summary:
    """All of it. ``timings`` are seconds from the bad value; ``took`` seconds for the phases of the demo."""

    evidence: Evidence
    checks: list[Check]
    endpoints: dict[str, str | None]
    data_dir: str
    versions: dict[str, str]
    took: dict[str, float] = field(default_factory=dict)

    @property
    def timings(self) -> dict[str, float]:
        """Seconds from the bad value, or from the last step before the end, to each hop."""
        story = self.evidence.story
        if story.fault.ranks > 1:
            return slow.timeline(self.evidence)
        if story.fault.cause is not None:
            return supervised.timeline(self.evidence.facts)
        return timings(story, self.evidence.restarts)

    @property
    def ok(self) -> bool:
        """Whether every link held."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """The whole story as one object."""
        story, facts = self.evidence.story, self.evidence.facts
        result: dict[str, Any] = finite(
            {
                "ok": self.ok,
                "run": story.run,
                "fault": str(story.fault),
                "checks": [asdict(check) for check in self.checks],
                "timings_s": self.timings,
                "took_s": self.took,
                "bad_step": asdict(story.bad) if story.bad else None,
                "diagnoses": [diagnosis.to_json() for _, diagnosis in story.diagnoses],
                "commands": [command.to_json() for _, command in story.commands],
                "acks": [ack.to_json() for _, ack in story.acks],
                "losses": [[step.step, step.loss] for step in facts.steps],
                "history_rows": facts.rows,
                "endpoints": self.endpoints,
                "data_dir": self.data_dir,
                "versions": self.versions,
            }
        )
        return result


def timings(story: Story, restarts: Sequence[Restart] = ()) -> dict[str, float]:
    """Seconds from the time of the bad value to each hop that was seen, in order."""
    if story.bad is None:
        return {}
    hops: dict[str, int] = {}
    for at_ns, diagnosis in story.diagnoses:
        if diagnosis.state == diagnoses.FIRING and diagnosis.rule in story.fault.rules:
            hops.setdefault("diagnosis", at_ns)
    for action in dict.fromkeys(command.action for _, command in story.commands):
        sent_ns, command = story.command(action) or (0, None)
        if command is None:
            continue
        hops[f"{action} command"] = sent_ns
        for state, what in ((commands.RUNNING, "handler running"), (commands.SUCCEEDED, "done")):
            ack = story.ack(command, state)
            if ack is not None:
                hops[f"{action} {what}"] = ack[0]
    hops.update({str(one): one.done_ns for one in restarts if one.done_ns is not None})
    hops = dict(sorted(hops.items(), key=lambda hop: hop[1])) if restarts else hops
    bad_ns = story.bad.time_ns
    return {name: round((at_ns - bad_ns) / _NS, 3) for name, at_ns in hops.items()}
