"""Timeouts that have to be in one order: who kills must come after those who look.

A hang is worth something only while the processes are there: our stacks are taken first, then the supervisor
may end the trainer, and torch's own watchdog comes last. NCCL's watchdog ends a process after
TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC (torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp: 480 s unless set), the
process group's timeout is 600 s unless ``init_process_group(timeout=...)`` says otherwise, which only the
trainer knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from emitter._settings import resolve
from stream.doctor.finding import Finding, error, ok, warning
from stream.rulelang.model import RuleSet
from stream.supervise.watching import Limits

CHECK: Final = "timeouts"
NCCL_WATCHDOG: Final = "TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC"
NCCL_WATCHDOG_S: Final = 480.0
_HEARTBEAT, _STEP = "train.heartbeat", "train.step"
_BEATS: Final = 3
"""Heartbeats that may be missed before a rule may call it silence: one lost, one late."""


class Timeout(NamedTuple):
    """A time in seconds, what it is, and where it is set."""

    seconds: float
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.what} {self.seconds:g} s ({self.source})"


def look(rules: RuleSet, environ: Mapping[str, str]) -> list[Finding]:
    """Compare what emitter, rules, supervisor and torch would do on a machine set up like this."""
    settings = resolve({}, environ=environ)
    given = environ.get(NCCL_WATCHDOG) or str(NCCL_WATCHDOG_S)
    if not given.replace(".", "", 1).isdecimal():
        return [error(CHECK, f'{NCCL_WATCHDOG}: expected seconds, got "{given}"', "mend this variable")]
    watchdog = Timeout(float(given), "NCCL's watchdog ends the process after", NCCL_WATCHDOG)
    flush = Timeout(settings.flush_s, "records are sent after", "TRAINWARDEN_FLUSH_S")
    beat = Timeout(settings.heartbeat_s, "a heartbeat comes every", "TRAINWARDEN_HEARTBEAT_S")
    stall = Timeout(settings.stall_s, "the emitter sends stacks after", "TRAINWARDEN_STALL_S")
    hang = Timeout(Limits().floor, "the supervisor ends a hung trainer after", "run --hang-after")
    found = [_ordered(flush, beat), _ordered(stall, hang), _ordered(stall, watchdog)]
    found += [_late(hang, watchdog)]
    found += [_ordered(beat, one, _BEATS) for one in _silences(rules, _HEARTBEAT)]
    found += [_ordered(one, watchdog) for one in _silences(rules, _STEP)]
    problems = [one for one in found if one is not None]
    return problems or [ok(CHECK, f"in order: {flush.seconds:g} s < {beat.seconds:g} s < {stall.seconds:g} s"
                                  f" < {hang.seconds:g} s < {watchdog.seconds:g} s")]  # fmt: skip


def _ordered(first: Timeout, then: Timeout, times: float = 1.0) -> Finding | None:
    if first.seconds * times < then.seconds:
        return None
    more = f"more than {times:g} times " if times != 1 else ""
    said = f"{then} must be {more}longer than: {first}"
    return error(CHECK, said, f"raise {then.source} or lower {first.source}")


def _late(hang: Timeout, watchdog: Timeout) -> Finding | None:
    """Torch may well be the one that ends the process; then the supervisor sees a crash and no hang."""
    if hang.seconds < watchdog.seconds:
        return None
    said = f"{watchdog} comes before: {hang}, so a hang is seen as a crash, without stacks from outside"
    return warning(CHECK, said, f"raise {watchdog.source} or lower {hang.source}")


def _silences(rules: RuleSet, event: str) -> list[Timeout]:
    return [
        Timeout(rule.absent.for_s, "silence is noticed after", f"`absent.for` of the rule {rule.id}")
        for rule in rules.rules
        if rule.absent is not None and rule.absent.of == event and rule.absent.after is None
    ]
