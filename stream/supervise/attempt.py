"""One launch of the trainer, from its start to its end: watched, listened to, and ended if it must be."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import psutil

from emitter.vocabulary import commands, events
from emitter.vocabulary.commands import Command
from emitter.vocabulary.supervision import Pulse
from stream.supervise import clusters, pulses, stacks
from stream.supervise.ending import Seen
from stream.supervise.memory import Killer
from stream.supervise.options import Options
from stream.supervise.orders import Orders
from stream.supervise.process import Trainer
from stream.supervise.telling import Teller, tell
from stream.supervise.watching import Finding, Watch

STOPS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
RELAYED: Final = (*sorted(STOPS), signal.SIGUSR1, signal.SIGUSR2)
NOTICE_S: Final = 60.0
"""A SIGUSR1 or SIGUSR2 this long before the end was the notice of it."""
PATIENCE: Final = 3
"""So many Ctrl-C mean: at once."""
ENDED, DUMPED = "ended", "dumped"

Post = Callable[[str, Any], None]


@dataclass(frozen=True)
class Dumped:
    """Stacks were taken: ``why`` they were, for which command, and what came of it."""

    why: str
    command: Command | None
    detail: dict[str, Any]
    kill: bool


@dataclass
class Pending:
    """A command that the emitter may execute by itself, and since when we have it."""

    command: Command
    since_s: float
    taken: bool = False


@dataclass
class Attempt:
    """``post(kind, fact)`` puts something before the loop; all methods are called from there."""

    options: Options
    folder: Path
    teller: Teller
    orders: Orders
    killer: Killer
    post: Post
    alone: Callable[[list[Pulse]], bool]
    trainer: Trainer = field(init=False)
    began_s: float = field(default_factory=time.monotonic)
    ours: str | None = None
    executed: Command | None = None
    pending: list[Pending] = field(default_factory=list)
    went_back: list[Command] = field(default_factory=list)
    """Rollbacks that the trainer did by itself, to be taken from here."""
    outside: list[tuple[float, int]] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)
    known: list[Pulse] = field(default_factory=list)
    first_attempt: int | None = None
    _reported: set[str] = field(default_factory=set)
    _dumping_for: str | None = None
    _over: bool = False
    _kill_at_s: float | None = None

    def __post_init__(self) -> None:
        self._watch = Watch(self.options.limits)
        self._one_dump = threading.Lock()

    def look(self) -> None:
        """Read the pulses, judge them, and see to the commands that wait."""
        self.known = pulses.read(self.folder)
        self.pids.update(pulse.pid for pulse in self.known)
        self.teller.step = pulses.furthest(self.known)
        self.orders.ranks = sorted({pulse.rank for pulse in self.known})
        self._number()
        if self._kill_at_s is not None and time.monotonic() >= self._kill_at_s:
            self._kill_at_s = None
            self.trainer.kill()
        if self.ours is not None:
            return
        found = [one for one in self._watch.look(self.known, time.monotonic_ns()) if _lives(one.pulse.pid)]
        self._judge(found)
        for one in self.pending:
            self._consider(one, found)

    def _number(self) -> None:
        """A launcher that starts its ranks again by itself counts attempts of its own."""
        if not self.known:
            return
        highest = max(pulse.attempt for pulse in self.known)
        if self.first_attempt is None:
            self.first_attempt = min(pulse.attempt for pulse in self.known)
        if highest > self.orders.identity.attempt:
            self.orders.identity = replace(self.orders.identity, attempt=highest)

    def relay(self, number: int) -> None:
        """A signal for us is one for the trainer."""
        self.outside.append((time.monotonic(), number))
        if [one for _, one in self.outside].count(signal.SIGINT) >= PATIENCE:
            self.trainer.kill()
            return
        self.trainer.signal(number)
        if number in STOPS and self._kill_at_s is None:
            self._kill_at_s = time.monotonic() + self.options.grace_s

    def order(self, command: Command) -> None:
        """A command that was checked; one that waited for this attempt to begin may be for the last."""
        if self.orders.late(command):
            return
        if command.action == "dump_stacks":
            if self._dumping_for == command.id:
                return
            self._dumping_for = command.id
            self.orders.running(command)
            self._dump(command.reason.summary or "command", command, kill=False)
        elif all(one.command.id != command.id for one in self.pending):
            self.pending.append(Pending(command, time.monotonic()))

    def dumped(self, done: Dumped) -> None:
        """The stacks that were asked for have come; go on with what they were the evidence for."""
        if done.command is not None and done.command.action == "dump_stacks":
            state = commands.SUCCEEDED if done.detail["processes"] else commands.FAILED
            reason = None if done.detail["processes"] else done.detail["trouble"] or "no process to look at"
            self.orders.finish(done.command, state, reason, done.detail)
        if done.kill and done.command is None and not self._over:
            tell("the trainer goes on again")
            return
        if done.kill and self.ours is None:
            self.ours, self.executed = done.why, done.command
            self.trainer.end()

    def seen(self, status: int | None) -> Seen:
        """What is known now that it has ended."""
        now = time.monotonic()
        self.known = pulses.read(self.folder)
        self.teller.step = pulses.furthest(self.known)
        outside = [one for at, one in self.outside if one in STOPS or now - at < NOTICE_S]
        err, out = self.teller.tails["stderr"], self.teller.tails["stdout"]
        tail = err if err.exception is not None else out
        return Seen(
            status, self.known, self.ours, outside, self.killer.kills(),
            self.killer.said({*self.pids, self.trainer.pid or 0}), tail.exception, tail.trace,
        )  # fmt: skip

    # Stalls

    def _judge(self, found: list[Finding]) -> None:
        new = [one for one in found if self._key(one) not in self._reported]
        self._over = any(one.over for one in found)
        self._reported &= {self._key(one) for one in found} | ({"kill"} if self._over else set())
        self._reported |= {self._key(one) for one in new}
        kill = self._over and self.options.kill_hung and self.alone(self.known)
        if new:
            ranks = ",".join(str(one.pulse.rank) for one in found)
            self.teller.say(events.STALLED, str(found[0]), {events.SUPERVISOR_RANKS: ranks}, bad=self._over)
        if new or (kill and "kill" not in self._reported):
            self._reported |= {"kill"} if kill else set()
            self._dump(str(found[0]), None, kill=kill, silent=[one.pulse.rank for one in found if one.silent])

    @staticmethod
    def _key(one: Finding) -> str:
        return f"{one.pulse.file()} {'over' if one.over else 'silent'}"

    # Stacks

    def _dump(
        self, why: str, command: Command | None, *, kill: bool, silent: list[int] | None = None
    ) -> None:
        """Beside the loop: py-spy may take its time, and the trainer may end meanwhile."""
        args = (why, command, kill, silent or [], list(self.known))
        threading.Thread(target=self._take, args=args, name="trainwarden-stacks", daemon=True).start()

    def _take(
        self, why: str, command: Command | None, kill: bool, silent: list[int], known: list[Pulse]
    ) -> None:
        detail: dict[str, Any] = {"processes": 0, "groups": [], "odd": [], "trouble": None}
        try:
            with self._one_dump:  # a process can be traced by one only
                dump = stacks.take(self.trainer.pid, known)
            groups = clusters.group(dump.stacks)
            odd = clusters.odd(groups, silent, clusters.holders(dump.stacks))
            detail = {
                "processes": len(dump.stacks), "groups": [str(one) for one in groups], "odd": odd,
                "trouble": "; ".join(dump.troubles) or None,
            }  # fmt: skip
            for trouble in dump.troubles:
                tell(trouble)
            for one in groups:
                tell(f"{one}{'  <- the odd one out' if set(one.ranks) & set(odd) else ''}")
            about = {} if command is None else {"command.id": command.id}
            self.teller.note(
                events.DUMPED,
                {
                    events.SUPERVISOR_REASON: detail["trouble"] if not dump.stacks else why,
                    events.STACK_GROUPS: "\n".join(detail["groups"]) or None,
                    events.STACK_ODD: ",".join(map(str, odd)) or None,
                    **about,
                },
            )
            self.teller.stacks(dump.stacks, why, about)
        finally:
            self.post(DUMPED, Dumped(why, command, detail, kill))

    # Commands

    def _consider(self, one: Pending, found: list[Finding]) -> None:
        if one.taken or one not in self.pending:
            return
        answers = [pulse.commands[one.command.id] for pulse in self.known if one.command.id in pulse.commands]
        if any(answers):  # it has ended there, well or not
            if one.command.action == "rollback" and commands.SUCCEEDED in answers:
                self.went_back.append(one.command)
            self.pending = [other for other in self.pending if other is not one]
            return
        waited = time.monotonic() - one.since_s >= self.options.answer_s
        if found or (waited and not answers):
            self._take_over(one)

    def _take_over(self, one: Pending) -> None:
        one.taken = True
        if self.orders.late(one.command):
            self.pending = [other for other in self.pending if other is not one]
            return
        self.orders.running(one.command)
        self._dump(f"{one.command.action}: the trainer does not answer", one.command, kill=True)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
