"""Plays the demo: stack, trainer, story, checks, summary."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console

from emitter.vocabulary import topics
from stream import history, lag
from stream.children import Child, Children
from stream.datadir import DataDirError, versions
from stream.demo import fault as faults
from stream.demo.checks import Ending, Evidence, verify
from stream.demo.facts import gather
from stream.demo.fault import Fault
from stream.demo.follow import Follower
from stream.demo.restarts import Restart
from stream.demo.restarts import parse as parse_restarts
from stream.demo.screen import Screen
from stream.demo.story import Happening, Story
from stream.demo.summary import Summary
from stream.demo.trainer import Job
from stream.ports import PortsError
from stream.signals import Signals
from stream.stack import Stack, StackError

T = TypeVar("T")

FINE, FOUND, USAGE, ERROR = 0, 1, 2, 3

TRAINING_S: Final = 600.0
SETTLE_S: Final = 60.0
_POLL_S: Final = 0.05


class DemoError(RuntimeError):
    """The demo could not be played to its end; the message says what happened."""


def run(
    *,
    fault: str = "lr-spike@200",
    steps: int | None = None,
    seed: int = 1,
    stay: bool = False,
    as_json: bool = False,
    data_dir: Path | None = None,
    kafka: str | None = None,
    clickhouse: str | None = None,
    rules: Sequence[Path] = (),
    restart: Sequence[str] = (),
) -> int:
    """Play the demo; 0 if every link of the loop held, 1 if one did not, 2 wrong usage, 3 it broke down.

    ``kafka`` and ``clickhouse`` name existing ones to use; the rest of the stack is always our own. ``rules``
    take the place of the shipped ones; ``restart`` names parts to end and start again, see ``restarts``.
    """
    screen = Screen(Console(file=sys.stderr if as_json else sys.stdout, highlight=False))
    try:
        wanted, total = faults.parse(fault, steps)
        restarts = parse_restarts(restart)
    except faults.UsageError as error:
        Console(stderr=True, highlight=False).print(f"trainwarden demo: {error}", soft_wrap=True)
        return USAGE
    directory = data_dir or Path(tempfile.mkdtemp(prefix="trainwarden-demo-"))
    stack = Stack(
        directory, ports="auto", mode="act", rules=rules, kafka=kafka, clickhouse=clickhouse,
        changed=screen.part,
    )  # fmt: skip
    play = Play(stack, screen, wanted, total, seed, restarts)
    code = _guarded(play, stay, as_json)
    if data_dir is None and (code == FINE or play.interrupted):
        shutil.rmtree(directory, ignore_errors=True)
    else:
        screen.say(f"data, logs and checkpoints: {directory}")
    return code


def _guarded(play: Play, stay: bool, as_json: bool) -> int:
    """Whatever happens, everything that was started is stopped."""
    with Signals() as signals:
        try:
            return play.run(signals, stay, as_json)
        except KeyboardInterrupt:
            play.interrupted = True
            play.screen.end()
            play.screen.say("interrupted")
            return ERROR
        except (StackError, DataDirError, PortsError, DemoError) as error:
            play.screen.end()
            play.screen.say(f"trainwarden demo: {error}")
            return ERROR
        finally:
            signals.stopping()
            play.screen.end()
            play.trainers.stop_all(1.0, signals.forced)
            play.stack.stop(signals.forced)


async def _unless(asked_to_stop: Callable[[], bool], work: Coroutine[Any, Any, T]) -> T:
    """The result of the work; CancelledError, after the work has tidied up, when asked to stop."""
    task = asyncio.create_task(work)
    while not (task.done() or asked_to_stop()):
        await asyncio.wait({task}, timeout=_POLL_S)
    task.cancel()
    return await task


class Play:
    """One performance of the demo on a stack that it starts."""

    def __init__(
        self, stack: Stack, screen: Screen, fault: Fault, steps: int, seed: int, restarts: list[Restart]
    ) -> None:
        run = f"demo-{secrets.token_hex(4)}"
        self.stack, self.screen = stack, screen
        self.job = Job(run, fault, steps, seed, stack.data.path / "demo" / run)
        self.story, self.restarts = Story(run, fault), restarts
        self.trainers = Children(stack.data.logs)
        self.took: dict[str, float] = {}
        self.interrupted = False

    def run(self, signals: Signals, stay: bool, as_json: bool) -> int:
        """Start, watch, verify, tell."""
        with self._timed("stack start"):
            self.stack.start()
        with signals.held():
            ending = asyncio.run(_unless(lambda: signals.requested, self._train()))
        summary = self._judge(ending)
        self.screen.summary(summary)
        if as_json:
            sys.stdout.write(json.dumps(summary.to_json(), allow_nan=False) + "\n")
            sys.stdout.flush()
        if stay:
            self._stay()
        else:
            self.screen.say(
                "To look at the run in the viewer: --stay. To keep data and logs: --data-dir DIR."
            )
        return FINE if summary.ok else FOUND

    async def _train(self) -> Ending:
        """Run the trainer to its end beside the follower."""
        follower = Follower(self.stack.kafka, self.story, self.screen.tell)
        await follower.start()
        try:
            self.screen.begin(self.job.steps)
            with self._timed("training"):
                trainer = self.job.start(self.trainers, self.stack.environment())
                await self._until_it_ends(trainer, follower)
            with self._timed("settling"):
                unread = await self._settle(follower)
            self.screen.step(self.story)
        finally:
            self.screen.end()
            await follower.stop()
        return Ending(trainer.process.returncode, self.job.steps_run(), self.job.steps - 1, unread)

    async def _until_it_ends(self, trainer: Child, follower: Follower) -> None:
        deadline = time.monotonic() + TRAINING_S
        while trainer.ended() is None:
            self.stack.check()
            follower.check()
            self.screen.step(self.story)
            self._restart()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the trainer did not end within {TRAINING_S:g} s; its log:\n{trainer.tail()}"
                )
            await asyncio.sleep(_POLL_S)
        if trainer.process.returncode:
            self.screen.say(f"the trainer ended with {trainer.ended()}:\n{trainer.tail()}")

    def _restart(self) -> None:
        """End the parts whose time has come, and start them again; the trainer goes on meanwhile."""
        for one in (one for one in self.restarts if one.due(self.story)):
            one.done_ns = time.time_ns()
            self.screen.tell(Happening("restart", one.done_ns, str(one)))
            self.stack.restart(one.part, kill=one.kill)

    async def _settle(self, follower: Follower) -> int:
        """Let everybody read to the end, stage after stage; how many records the history left unread."""
        kafka, deadline = self.stack.kafka, time.monotonic() + SETTLE_S
        for group, names in (
            (lag.LOOP_GROUP, topics.OTLP_TOPICS),
            (lag.LOOP_GROUP, (topics.TRAIN_EVENTS,)),
            (lag.LOOP_GROUP, (topics.TRAIN_DIAGNOSES, topics.REMEDIATION_ACKS)),
            (lag.HISTORY_GROUP, (*lag.HISTORY_TOPICS, topics.REMEDIATION_INTENTS)),
        ):
            ends = await lag.end_offsets(kafka, names)
            unread = await lag.wait_until_read(kafka, group, ends, deadline - time.monotonic())
        await follower.catch_up(ends, deadline - time.monotonic())
        return unread

    def _judge(self, ending: Ending) -> Summary:
        with self._timed("verifying"), history.connect(self.stack.clickhouse) as client:
            evidence = Evidence(self.story, gather(client, self.story.run), ending, self.restarts)
            checks = verify(evidence)
        return Summary(
            evidence, checks, dict(self.stack.endpoints), str(self.stack.data.path), versions(), self.took
        )

    def _stay(self) -> None:
        """Until Ctrl-C, or until a part dies (raises StackError)."""
        self.screen.say(f"The viewer is at {self.stack.endpoints['viewer']}; Ctrl-C ends it.")
        with suppress(KeyboardInterrupt):
            while True:
                self.stack.check()
                time.sleep(_POLL_S)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.took[what] = round(time.monotonic() - began, 2)
