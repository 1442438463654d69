"""A session that says everything an emitter can say, and what of it is to be found at the other end."""

from __future__ import annotations

import contextlib
import math
import os
from typing import Any, Final, NamedTuple

import pytest

import emitter
from emitter._records import LOGS, TRACES, Fate, Outcome, Payload

MORE: Final = "größe/😀"
LONG: Final = "é" * 4096
STEPS: Final[tuple[dict[str, Any], ...]] = (
    *({"loss": 1.0 / (number + 1), "tokens": number * 1000} for number in range(20)),
    {"loss": math.nan}, {"loss": math.inf}, {"loss": -math.inf}, {"loss": -0.0}, {"loss": 5e-324},
    {"loss": 1.7976931348623157e308, MORE: 1.5}, {"tokens": 2**63 - 1}, {"tokens": -(2**63)},
    {"tokens": 2**70}, {"done": True, "text": "left out"}, {"layers": {"0": {"norm": 0.25}, "1": 2}},
    {},
)  # fmt: skip
"""Of step(): the columns of the fast way, and every kind of number in the general one."""

EVENT: Final[dict[str, Any]] = {
    "text": "", "unicode": "größer 😀 \x00 \n\t\"'", "long": LONG, "n": 7, "big": -(2**63), "f": 2.5,
    "nan": math.nan, "flag": True, "nothing": None, "": "unnamed",
}  # fmt: skip


class Expected(NamedTuple):
    """Of a log record: what the pages of the emitter promise."""

    name: str
    step: int | None
    values: dict[str, Any]
    body: str | None = None
    severity: int = 0
    severity_text: str = ""


EXPECTED: Final = (
    *(Expected("train.step", number, values) for number, values in enumerate(STEPS[:28])),
    Expected("train.step", 28, {"tokens": float(2**70)}),
    Expected("train.step", 29, {"done": 1}),
    Expected("train.step", 30, {"layers/0/norm": 0.25, "layers/1": 2}),
    Expected("train.step", 31, {}),
    Expected("train.eval", 31, {"eval_loss": 0.75}),
    Expected(
        "my.event",
        None,
        {**{name: value for name, value in EVENT.items() if value is not None}, "flag": 1},
    ),
    Expected("train.log", 31, {"code": 3}, "größer 😀", 17, "ERROR"),
    Expected("train.log", 31, {}, "", 5, "DEBUG"),
    Expected("train.log", 31, {}, LONG * 2, 9, "INFO"),
)


def tell(run: str, endpoint: str, **settings: Any) -> None:
    """The whole session, from init to shutdown."""
    emitter.init(
        run, run_id=run, endpoint=endpoint, resources=False, logs=False, hooks=False, stacks=False,
        spool="off", shutdown_s=60, **settings,
    )  # fmt: skip
    for number, values in enumerate(STEPS):
        emitter.step(number, values, epoch=number / 4 if number % 2 else None)
    emitter.eval(31, eval_loss=0.75)
    emitter.event("my.event", EVENT)
    emitter.log("größer 😀", 40, code=3)
    emitter.log("", 10)
    emitter.log(LONG * 2)
    with emitter.checkpoint(31, "/ckpt/ü 😀") as saved:
        saved.stage()
        saved.written(bytes=2**40)
        saved.verified(checksum="sha256:00")
    with contextlib.suppress(OSError), emitter.checkpoint(32, "/full"):
        raise OSError("voll 😀")
    emitter.shutdown()


class Tap:
    """Keeps what the emitter's exporters deliver, as they were given it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.logs: list[bytes] = []
        self.spans: list[bytes] = []
        self._kept = {LOGS: self.logs, TRACES: self.spans}
        from emitter.kafka.exporter import KafkaExporter
        from emitter.otlp.grpc import GrpcExporter
        from emitter.otlp.http_exporter import HttpExporter

        for kind in (HttpExporter, GrpcExporter, KafkaExporter):
            patch.setattr(kind, "send", self._kept_by(kind.send))

    def _kept_by(self, send: Any) -> Any:
        def keep(exporter: Any, payload: Payload) -> Outcome:
            outcome: Outcome = send(exporter, payload)
            if outcome.fate is Fate.SENT:
                assert outcome.refused == 0, outcome
                self._kept[payload.signal].append(payload.body)
            return outcome

        return keep


def clean_environment(patch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own settings; our own bugs are raised."""
    for name in os.environ:
        if name.startswith(("OTEL_", "TRAINWARDEN_")) and name != "TRAINWARDEN_TEST_KAFKA":
            patch.delenv(name)
    patch.setenv("TRAINWARDEN_STRICT", "1")
    patch.setenv("TRAINWARDEN_KERNEL_LOG", "0")
    patch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=größe%20😀,empty=")
