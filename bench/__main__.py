"""``make bench``: run the measurements, print one table, write JSON with ``--json FILE``."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.row import Row

NAMES = (
    "import_time",
    "step_call",
    "agreement_cost",
    "slowdown",
    "encode",
    "file_lines",
    "flush",
    "overload",
    "engine",
    "pipeline",
    "growth",
    "recovery",
    "rebalance",
    "catchup",
    "rolling",
    "log_match",
    "recorded",
    "history_insert",
    "panels",
    "kafka_export",
    "torch_probes",
    "host_probes",
    "latency",
)


def _table(rows: list[Row]) -> Table:
    title = f"Trainwarden bench, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    table = Table("what", "ours", "peer", "ratio", "target", title=title)
    for row in rows:
        ours, peer = (f"{value:,.4g} {row.unit}" for value in (row.ours, row.peer))
        table.add_row(row.what, ours, f"{peer} ({row.peer_name})", f"{row.ratio:.3g}", row.target)
    return table


def print_table(rows: list[Row]) -> None:
    """The rows as a table on the terminal."""
    Console().print(_table(rows))


def main() -> None:
    """Run all measurements, or the named ones."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], default=[], help="which; all by default")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rows: list[Row] = []
    failed: list[str] = []
    console = Console()
    for name in options.names or NAMES:
        with console.status(f"measuring {name} ..."):
            try:
                rows += importlib.import_module(f"bench.{name}").measure()
            except Exception as error:  # noqa: BLE001 - what was measured so far is still printed
                failed.append(f"bench: {name}: {type(error).__name__}: {error}")
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps([{**asdict(row), "ratio": row.ratio} for row in rows], indent=1))
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
