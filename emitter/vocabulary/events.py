"""Event names (OTLP log records with an event name, and spans), and the words inside them."""

from __future__ import annotations

from typing import Final

STEP: Final = "train.step"
"""Scalars of one optimizer step under the names the user logs; also step_time and data_time (s)."""
EVAL: Final = "train.eval"
RESOURCE: Final = "train.resource"
"""One sample of host and process, or of one GPU (then with the attribute hw.id)."""
LOG: Final = "train.log"
STACK: Final = "train.stack"
HEARTBEAT: Final = "train.heartbeat"
"""Rank is alive: train.phase, train.step, progress.age (s since the last progress)."""
LIFECYCLE: Final = "train.lifecycle"
"""lifecycle.state is one of LIFECYCLE_STATES; exit.code, exit.signal, exception.* where known."""
CHECKPOINT_STARTED: Final = "checkpoint.started"
"""A span is exported only when it ends; this makes a save that hangs visible."""
EMITTER_REPORT: Final = "train.emitter.report"
"""What the emitter lost, by reason (lost.<reason>: count since the last report)."""
METRIC: Final = "metric"
"""One data point: name inside the stream for those of OTLP metrics, and of log records with METRIC_NAME."""
METRIC_NAME: Final = "metric.name"
"""In a log record ``metric``: the metric's name. ``value`` is the number, all else are its attributes."""

BEACON: Final = "trainwarden.beacon"
"""A gateway or worker saying that its path is alive: gateway.id. Carries no run."""

LOG_EVENTS: Final = (
    STEP, EVAL, RESOURCE, LOG, STACK, HEARTBEAT, LIFECYCLE, CHECKPOINT_STARTED, EMITTER_REPORT, BEACON,
)  # fmt: skip

CHECKPOINT_SAVE: Final = "checkpoint.save"
CHECKPOINT_STAGE: Final = "checkpoint.stage"
CHECKPOINT_WRITE: Final = "checkpoint.write"
CHECKPOINT_VERIFY: Final = "checkpoint.verify"
CHECKPOINT_LOAD: Final = "checkpoint.load"
SPANS: Final = (CHECKPOINT_SAVE, CHECKPOINT_STAGE, CHECKPOINT_WRITE, CHECKPOINT_VERIFY, CHECKPOINT_LOAD)

CHECKPOINT_STEP: Final = "checkpoint.step"
CHECKPOINT_PATH: Final = "checkpoint.path"
CHECKPOINT_BYTES: Final = "checkpoint.bytes"
CHECKPOINT_KIND: Final = "checkpoint.kind"
"""``regular`` or ``forensic`` (saved during an incident: kept apart, never a rollback target)."""
CHECKPOINT_CHECKSUM: Final = "checkpoint.checksum"
CHECKPOINT_VERIFIED: Final = "checkpoint.verified"
"""True when the trainer proved that what it wrote can be read back."""

LIFECYCLE_STATE: Final = "lifecycle.state"
EXIT_CODE: Final = "exit.code"
EXIT_SIGNAL: Final = "exit.signal"
EXIT_CAUSE: Final = "exit.cause"
"""One word: finished, exception, failed, signal, oom_killed, hung, preempted, stopped, restart, killed."""
SUPERVISOR_REASON: Final = "supervisor.reason"
SUPERVISOR_RANKS: Final = "supervisor.ranks"
SUPERVISOR_RESUME: Final = "supervisor.resume"
SUPERVISOR_COMMAND: Final = "supervisor.command"
SUPERVISOR_DELAY: Final = "supervisor.delay"
STACK_REASON: Final = "stack.reason"
STACK_GROUPS: Final = "stack.groups"
STACK_ODD: Final = "stack.odd"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

STARTED: Final = "started"
RESUMED: Final = "resumed"
FINISHED: Final = "finished"
FAILED: Final = "failed"
KILLED: Final = "killed"

LAUNCHED: Final = "launched"
"""A supervisor started the trainer: supervisor.resume, supervisor.command."""
STALLED: Final = "stalled"
"""No progress, or a rank that cannot even say so: supervisor.reason, supervisor.ranks."""
DUMPED: Final = "dumped"
"""Stacks of all ranks of the node were taken from outside: stack.groups, stack.odd."""
EXITED: Final = "exited"
"""The trainer as a whole has ended: exit.cause, exit.code, exit.signal."""
RESTARTING: Final = "restarting"
WAITING: Final = "waiting"
"""On several nodes: for a restart of the whole run."""
GAVE_UP: Final = "gave_up"
SUPERVISOR_STATES: Final = (LAUNCHED, STALLED, DUMPED, EXITED, RESTARTING, WAITING, GAVE_UP)
"""Said by the supervisor of a node, in records of role ``supervisor`` without a rank."""
LIFECYCLE_STATES: Final = (STARTED, RESUMED, FINISHED, FAILED, KILLED, *SUPERVISOR_STATES)
ENDED_STATES: Final = frozenset({FINISHED, FAILED, KILLED})

PHASES: Final = ("init", "compile", "train", "eval", "checkpoint", "paused", "data", "shutdown")
"""Well-known phases; ``emitter.phase`` accepts any word."""

PROGRESS_AGE: Final = "progress.age"
GATEWAY_ID: Final = "gateway.id"
LOST_PREFIX: Final = "lost."
PROBE_PREFIX: Final = "probe."
"""In train.emitter.report: ``probe.<name>`` says what a probe that is on cannot read, and why."""
