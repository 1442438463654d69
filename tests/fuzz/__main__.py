"""A campaign by hand: ``python -m tests.fuzz TARGET --seconds N [--seed N] [--most N]``."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import traceback
from collections.abc import Callable

from tests.fuzz import campaign
from tests.fuzz.kafka_headers import KafkaHeaders
from tests.fuzz.otlp import Otlp
from tests.fuzz.requests import of_ones_own
from tests.fuzz.rule_files import RuleFiles

TARGETS: dict[str, Callable[[], campaign.Target]] = {
    "otlp": Otlp,
    "rules": RuleFiles,
    "clickhouse": of_ones_own,
    "kafka": KafkaHeaders,
}


def main() -> int:
    """Exit 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--most", type=int, default=10, help="end after so many findings")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"{options.target}: seed {seed}, {options.seconds:g} s", flush=True)

    shown = 0

    def tell(outcome: campaign.Outcome) -> None:
        nonlocal shown
        for case, error in outcome.found[shown:]:
            print("".join(traceback.format_exception(error)))
            print(f"case: {case!r}")
        shown = len(outcome.found)
        print(f"{outcome.cases} cases, {outcome.seconds:.0f} s, {len(outcome.found)} found", flush=True)

    outcome = campaign.run(
        TARGETS[options.target](), seed, seconds=options.seconds, most=options.most, tell=tell
    )
    tell(outcome)
    print(f"slowest case {outcome.slowest * 1000:.0f} ms")
    return 1 if outcome.found else 0


if __name__ == "__main__":
    sys.exit(main())
