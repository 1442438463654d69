"""The functions users call. Before ``init`` and after ``shutdown`` each is a cheap no-op."""

from __future__ import annotations

import contextlib

from emitter import _hot as _hot_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    from emitter._session import Session
    from emitter._tune import Tunable
    from emitter.checkpoints.spans import Checkpoint, NoCheckpoint
    from emitter.probes.torch_watch import Watched
    from emitter.vocabulary.commands import Command

    HandlerT = TypeVar("HandlerT", bound=Callable[[Command], Any])

_session: Session | None = None
_hot = _hot_path.make()
"""``step`` itself, which sessions take turns to listen to."""
_handlers: dict[str, Callable[[Command], Any]] = {}
_tunables: dict[str, Tunable] = {}
_watching = False
_give_way: Callable[[], None] | None = None
"""Ends a session that nobody asked for in code (emitter/instrument)."""
_abandoned: Session | None = None


def init(
    run: str | None = None,
    *,
    run_id: str | None = None,
    endpoint: str | None = None,
    commands: str | None = None,
    allow: Sequence[str] | None = None,
    trusted_keys: str | None = None,
    supervised: bool | None = None,
    store: object = None,
    rank: int | None = None,
    local_rank: int | None = None,
    world_size: int | None = None,
    node_rank: int | None = None,
    attempt_base: int | None = None,
    role: str | None = None,
    service_name: str | None = None,
    aliases: Mapping[str, str] | None = None,
    resources: bool | None = None,
    logs: bool | None = None,
    gpus: str | None = None,
    gpu_events: bool | None = None,
    torch_memory: bool | None = None,
    oom_dump: str | None = None,
    data_wait: bool | None = None,
    gc_pauses: bool | None = None,
    kernel_log: bool | None = None,
    console: bool | None = None,
    tail: Sequence[str] | None = None,
    lines_per_s: int | None = None,
    scrape: Sequence[str] | None = None,
    scrape_keep: Sequence[str] | None = None,
    scrape_s: float | None = None,
    stacks: bool | None = None,
    stall_s: float | None = None,
    stall_factor: float | None = None,
    hooks: bool | None = None,
    heartbeat_s: float | None = None,
    resources_s: float | None = None,
    flush_s: float | None = None,
    queue_size: int | None = None,
    spool: str | None = None,
    spool_mb: int | None = None,
    batch_size: int | None = None,
    export_timeout_s: float | None = None,
    shutdown_s: float | None = None,
    disabled: bool | None = None,
) -> None:
    """Start to emit. ``run`` is the name people see; docs/emitter.md explains every setting.

    What is not given comes from TRAINWARDEN_* and OTEL_* variables, the launcher's variables, and a
    local ``trainwarden up``. Raises emitter.SettingError for a bad argument, and nothing else.

        import emitter
        emitter.init(run="gpt-small-7")
        for step, batch in enumerate(loader):
            loss = train_step(batch)
            emitter.step(step, loss=loss)
    """
    arguments = dict(locals())
    from emitter import _start

    _start.start(arguments)


def step(
    step: Any = None, metrics: Mapping[str, Any] | None = None, /, *, epoch: Any = None, **values: Any
) -> None:
    """One optimizer step ended; also the safe point at which commands are run.

    ``values`` are its scalars under your own names; names that are no identifiers come in ``metrics``.
    Without ``step`` the calls are counted from 0. May raise emitter.Stop or emitter.Restart, which only
    a command can cause.
    """


_declared = step
if not TYPE_CHECKING:
    # What runs is a closure (_hot.py) that takes ``epoch`` among the values.
    step = _hot.step
    step.__doc__, step.__module__, step.__qualname__ = _declared.__doc__, __name__, "step"
    step.__wrapped__ = _declared  # the signature that tools show


def eval(step: int | None = None, metrics: Mapping[str, Any] | None = None, /, **values: Any) -> None:
    """Scalars of an evaluation, at ``step`` or at the step of the last ``step()``."""
    session = _session
    if session is not None:
        _send(session, "train.eval", step, metrics, values)


def event(name: str, attributes: Mapping[str, Any] | None = None, /, **values: Any) -> None:
    """An event of your own, under your own name."""
    session = _session
    if session is not None:
        _send(session, str(name), None, attributes, values)


def log(message: object, /, level: int = 20, **values: Any) -> None:
    """A log line (``train.log``); ``level`` as in ``logging``, 20 is INFO."""
    session = _session
    if session is not None:
        from emitter._guard import guard
        from emitter.probes.logs import severity

        with guard:
            session.log(str(message), severity(level), values)


def phase(name: str) -> AbstractContextManager[None]:
    """What the trainer is busy with inside the block: eval, compile, data, checkpoint, or your own word."""
    session = _session
    return contextlib.nullcontext() if session is None else session.phase(str(name))


def checkpoint(step: int | None, path: object, kind: str = "regular") -> Checkpoint | NoCheckpoint:
    """Record the saving of a checkpoint; ``kind`` is ``regular`` or ``forensic``.

    with emitter.checkpoint(step, path) as ckpt:
        state = copy(model); ckpt.stage()
        torch.save(state, path); ckpt.written(bytes=path.stat().st_size)
        check(path); ckpt.verified(checksum="sha256:...")
    """
    session = _session
    if session is not None:
        from emitter._guard import guard

        with guard:
            return session.checkpoint(step, path, kind)
    from emitter.checkpoints.spans import NoCheckpoint

    return NoCheckpoint()


def on(action: str) -> Callable[[HandlerT], HandlerT]:
    """Register what a command does: ``@emitter.on("save")``. The handler gets the Command, at the step
    boundary; a dict it returns goes into the acknowledgement, an exception makes it ``failed``.
    Works before ``init``; the last registration counts.
    """

    def register(handler: HandlerT) -> HandlerT:
        _handlers[action] = handler
        return handler

    return register


def tune(
    name: str,
    getter: Callable[[], float] | None = None,
    setter: Callable[[float], object] | None = None,
    *,
    optimizer: Any = None,
    scheduler: Any = None,
) -> None:
    """Let ``set`` commands change a value: give a getter and a setter, or an optimizer (and scheduler).

    Raises TypeError where neither pair is complete. Works before ``init``.
    """
    from emitter import _tune

    if optimizer is not None and getter is None and setter is None:
        _tunables[_tune.key(name)] = _tune.of_optimizer(name, optimizer, scheduler)
    elif callable(getter) and callable(setter) and optimizer is None:
        _tunables[_tune.key(name)] = _tune.Tunable(getter, setter)
    else:
        raise TypeError(f"tune({name!r}): expected a getter and a setter, or optimizer=")


def watch(
    model: Any,
    optimizer: Any = None,
    *,
    grad_norm: bool = True,
    phases: bool = True,
) -> Watched:
    """Measure a torch model without synchronising: ``grad_norm``, ``forward_time``, ``backward_time`` and
    ``optimizer_time`` go with each ``step()``. Give the outermost module (DDP, compiled), and the optimizer
    or a list of them; without one, all that hold the model's parameters. Works before ``init``.

    ``remove()`` of what is returned ends it. Raises TypeError for a model or optimizer that is none.
    """
    from emitter.probes import torch_watch

    return torch_watch.watch(model, optimizer, grad_norm=grad_norm, phases=phases)


def resume_path() -> str | None:
    """The checkpoint to go on from, where ``trainwarden run`` started this process again; else None."""
    import os

    return os.environ.get("TRAINWARDEN_RESUME") or None


def lr_scale() -> float | None:
    """What to multiply the configured learning rate with, after rollbacks that asked for it; else None."""
    import os

    try:
        return float(os.environ["TRAINWARDEN_LR_SCALE"])
    except (KeyError, ValueError):
        return None


def shutdown() -> None:
    """Send what is left (5 s at most by default) and stop. Also done at exit."""
    session = use(None)
    if session is not None:
        session.close()


def use(session: Session | None) -> Session | None:
    """Make this the session that calls go to; returns the one before."""
    global _session
    before, _session = _session, session
    if before is not None:
        before.steps.close()
    if session is not None:
        session.steps.open()
    return before


def _send(
    session: Session, name: str, step: int | None, given: Mapping[str, Any] | None, values: dict[str, Any]
) -> None:
    from emitter._guard import guard

    with guard:
        merged = values if given is None else session.merged(given, values)
        session.offer(name, merged, step=session.at_step() if step is None else step)


def _forked() -> None:
    """In a forked child: inert until it calls ``init`` itself."""
    global _abandoned
    session = use(None)
    if session is not None:
        # Kept: its sockets and its event loop are the parent's, and must not be torn down from here.
        _abandoned = session
        session.abandon()
