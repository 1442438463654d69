"""Writes the dashboards as JSON, and tells whether what is checked in is what the builders give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import checkpoints, fleet, incidents, pipeline, ranks, rl, run

GENERATED: Final = Path(__file__).parent / "generated"
BUILDERS: Final = {
    "fleet.json": fleet.build,
    "run.json": run.build,
    "ranks.json": ranks.build,
    "checkpoints.json": checkpoints.build,
    "incidents.json": incidents.build,
    "rl.json": rl.build,
    "pipeline.json": pipeline.build,
}


def render() -> dict[str, str]:
    """File names and the JSON text that belongs into them, keys sorted."""
    return {
        name: json.dumps(build().build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        + "\n"
        for name, build in BUILDERS.items()
    }


def build(out_dir: Path = GENERATED) -> list[Path]:
    """Write all dashboards into the folder; the paths written."""
    out_dir.mkdir(parents=True, exist_ok=True)
    texts = render()
    for name, text in texts.items():
        (out_dir / name).write_text(text, encoding="utf-8")
    return [out_dir / name for name in texts]


def check(out_dir: Path = GENERATED) -> list[str]:
    """One sentence for each file that is missing, stale or left over; empty when all is fresh."""
    texts = render()
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(out_dir.glob("*.json"))}
    problems = [f"{name}: missing; run `make dashboards`" for name in texts if name not in found]
    problems += [f"{name}: no builder makes it; delete it" for name in found if name not in texts]
    stale = [name for name, text in texts.items() if found.get(name, text) != text]
    return problems + [f"{name}: not what its builder makes; run `make dashboards`" for name in stale]
