"""Runs side by side: how they stand, their numbers at common steps, and where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from emitter.vocabulary import attributes
from stream.goodput import Spent
from stream.goodput import goodput as goodput_of
from stream.report import about_run
from stream.report.ask import Ask, ledger_of
from stream.report.curves import THROUGHPUTS, Speaker, speaker
from stream.report.diverging import METHOD, Divergence, diverge
from stream.report.facts import Evaluation, Hardware

MOST_STEPS: Final = 50_000
"""Common steps of one pair, about; of more a sample is taken, the same of each run."""
SHOWN: Final = 12
MOST_RUNS: Final = 8
_OWN: Final = frozenset([
    attributes.RUN_ID, attributes.RUN_NAME, attributes.EMITTER_ID, attributes.SERVICE_INSTANCE_ID,
    attributes.PROCESS_PID, attributes.ATTEMPT, attributes.RANK, attributes.LOCAL_RANK, attributes.HOST_NAME,
])  # fmt: skip
"""Attributes that differ from run to run as a matter of course, or have a row of their own."""

_STATS: Final = """
SELECT
    name, count() AS values, argMax(value, (s.time, seq)) AS last, minOrNullIf(value, isFinite(value)) AS low,
    avgOrNullIf(value, isFinite(value)) AS mean, uniqExact(step) AS steps
FROM train_steps AS s WHERE run = {run:String} AND role = {role:String} AND rank = {rank:Int32}
    AND name IN {names:Array(String)}
GROUP BY name
"""
_BY_STEP: Final = """
SELECT step, argMax(value, (s.time, seq)) AS value FROM train_steps AS s
WHERE run = {run:String} AND role = {role:String} AND rank = {rank:Int32} AND name = {name:String}
    AND step >= 0 AND intHash64(step) % {part:UInt32} = 0
GROUP BY step ORDER BY step
"""
_INCIDENTS: Final = """
SELECT count() AS incidents, sum(i.lost_steps) AS lost_steps, sum(i.lost_seconds) AS lost_seconds,
    countIf(i.gpu_seconds IS NULL) AS unknown, sum(i.gpu_seconds) AS gpu_seconds
FROM train_incidents AS i WHERE run = {run:String}
"""
_SAID: Final = """
SELECT ResourceAttributes AS attributes FROM otel_logs
WHERE run = {run:String} AND EventName = 'train.lifecycle' ORDER BY rank, Timestamp LIMIT 1
"""


@dataclass(frozen=True)
class Side:
    """One run. ``lost_*``: what its incidents cost; ``attributes``: what its resource says besides ids."""

    id: str
    name: str
    state: str
    attempts: int
    started: int
    seconds: float
    last_step: int
    loss: float | None
    lowest_loss: float | None
    steps: int
    speed_name: str | None
    speed: float | None
    evaluations: list[Evaluation]
    goodput: Spent | None
    incidents: int
    lost_steps: int
    lost_seconds: float
    gpu_seconds: float | None
    hardware: Hardware
    attributes: dict[str, str]

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.id


@dataclass(frozen=True)
class Comparison:
    """Runs; ``parting`` and ``series`` are of the loss by step, ``parting`` of each run after the first."""

    sides: list[Side]
    parting: list[Divergence]
    series: list[dict[int, float]]
    part: int
    method: str = METHOD

    @property
    def common(self) -> list[int]:
        """Steps that all runs have."""
        if not self.series:
            return []
        return sorted(set.intersection(*(set(one) for one in self.series)))

    @property
    def shown(self) -> list[int]:
        """Some of the common steps, from the first to the last."""
        steps = self.common
        if len(steps) <= SHOWN:
            return steps
        return [steps[round(place * (len(steps) - 1) / (SHOWN - 1))] for place in range(SHOWN)]

    def to_json(self) -> dict[str, Any]:
        """All of it, with the losses at the steps that are shown."""
        return {
            "runs": [asdict(side) for side in self.sides],
            "divergence": [
                {"from": self.sides[0].id, "run": side.id, **asdict(one)}
                for side, one in zip(self.sides[1:], self.parting, strict=True)
            ],
            "common_steps": len(self.common), "sampled_one_in": self.part, "method": self.method,
            "loss": [{"step": step, "values": [one[step] for one in self.series]} for step in self.shown],
        }  # fmt: skip


def compare(ask: Ask, runs: Sequence[str]) -> Comparison:
    """These runs, by id; the first is what the others are compared with."""
    speakers = [speaker(ask, run) for run in runs]
    sides = [_side(ask, run, who) for run, who in zip(runs, speakers, strict=True)]
    part = max(1, -(-max(side.steps for side in sides) // MOST_STEPS))
    series = [_series(ask, run, who, part) for run, who in zip(runs, speakers, strict=True)]
    return Comparison(sides, [diverge(series[0], other) for other in series[1:]], series, part)


def _series(ask: Ask, run: str, who: Speaker | None, part: int) -> dict[int, float]:
    if who is None:
        return {}
    rows = ask(_BY_STEP, run=run, role=who.role, rank=who.rank, name="loss", part=part)
    return {int(row["step"]): float(row["value"]) for row in rows}


def _side(ask: Ask, run: str, who: Speaker | None) -> Side:
    row = about_run.row_of(ask, run)
    names = ["loss", *THROUGHPUTS]
    asked = {} if who is None else {"run": run, "role": who.role, "rank": who.rank, "names": names}
    stats = {one["name"]: one for one in ask(_STATS, **asked)} if asked else {}
    loss = stats.get("loss", {})
    speed = next((name for name in THROUGHPUTS if name in stats), None)
    (cost,) = ask(_INCIDENTS, run=run)
    said = ask(_SAID, run=run)
    goodput = goodput_of(ledger_of(ask), run)
    return Side(
        id=run, name=row["run_name"], state=row["state"], attempts=int(row["attempt"]) + 1,
        started=int(row["started"]), seconds=(int(row["last_time"]) - int(row["started"])) / 1e9,
        last_step=int(row["last_step"]), loss=loss.get("last"), lowest_loss=loss.get("low"),
        steps=int(loss.get("steps", 0)), speed_name=speed, speed=stats[speed]["mean"] if speed else None,
        evaluations=about_run.evaluations(ask, run), goodput=goodput.whole if goodput is not None else None,
        incidents=int(cost["incidents"]), lost_steps=int(cost["lost_steps"]),
        lost_seconds=float(cost["lost_seconds"]),
        gpu_seconds=None if cost["unknown"] else float(cost["gpu_seconds"] or 0.0),
        hardware=about_run.hardware(ask, run, row),
        attributes=_attributes(said[0]["attributes"] if said else {}),
    )  # fmt: skip


def _attributes(said: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in said.items() if name not in _OWN}
