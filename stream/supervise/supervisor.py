"""The loop: start, watch, judge the end, start again or give up."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from emitter import _parts, instrument
from emitter._guard import guard
from emitter._settings import Settings, resolve
from emitter._surroundings import node_name
from emitter.vocabulary import commands, events
from emitter.vocabulary.commands import Command
from emitter.vocabulary.supervision import Pulse
from stream.supervise import ending, launch, pulses
from stream.supervise.attempt import DUMPED, ENDED, STOPS, Attempt
from stream.supervise.ending import Ending, classify
from stream.supervise.memory import Killer
from stream.supervise.options import Options
from stream.supervise.orders import Orders
from stream.supervise.output import Stream
from stream.supervise.planning import Asked, Planner
from stream.supervise.process import Trainer
from stream.supervise.restarts import NEVER, Again, GiveUp, Restarts
from stream.supervise.surroundings import listening, signals, state_folder
from stream.supervise.telling import Teller, tell

LOOK_S: Final = 0.25
SIGNAL, ORDER = "signal", "order"
_PR_SET_CHILD_SUBREAPER: Final = 36


class Supervisor:
    """Supervises one run on this node; ``run`` gives the exit code. Main thread only: it takes signals."""

    def __init__(self, options: Options, environ: Mapping[str, str] | None = None) -> None:
        self._options = options
        self._environ = dict(os.environ if environ is None else environ)
        self._settings: Settings = resolve({}, self._environ)
        self._me = launch.identity(self._settings, options.command, self._environ)
        self._news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._planner, self._killer = Planner(self._settings.attempt_base), Killer()
        self._restarts = Restarts(options.terms)
        self._several = options.several_nodes
        self._stopped = False
        self._orders = Orders(self._me, node_name(), _parts.trusted(self._settings), self._allowed, self._ask)
        self._now: Attempt | None = None
        self._streams: list[Stream] = []

    def run(self) -> int:
        """Until the run is over, or we give up, or we are told to end."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with (
            state_folder(self._options.state) as state,
            signals(self._signal),
            listening(self._settings, self._orders),
        ):
            if self._options.state is not None:
                self._planner.remember(state)
            while True:
                over, attempt, teller = self._one(state)
                code = self._after(over, attempt, teller)
                teller.close()
                if code is not None:
                    return code

    # One attempt

    def _one(self, state: Path) -> tuple[Ending, Attempt, Teller]:
        folder = launch.folder_for(state)
        self._planner.begin(folder)
        self._orders.identity = self._me
        teller = Teller(self._settings, self._me, self._options.lines_per_s, folder)
        self._killer.begin()
        self._streams = [
            Stream(name, number, teller.heard) for name, number in (("stdout", 1), ("stderr", 2))
        ]
        attempt = Attempt(self._options, folder, teller, self._orders, self._killer, self._post, self._alone)
        self._now = attempt
        teller.note(
            events.LAUNCHED,
            {
                events.SUPERVISOR_COMMAND: launch.shown(self._options.command),
                events.SUPERVISOR_RESUME: self._planner.plan.resume,
            },
        )
        environ = launch.environment(
            self._environ, self._planner.plan, self._me.run, folder, share_id=self._share_id()
        )
        attempt.trainer = Trainer(
            self._options.command,
            instrument.environment(environ) if self._options.instrument else environ,
            self._streams,
            lambda status, left: self._post(ENDED, (status, left)),
        )
        status, left = self._until_it_ends(attempt)
        over = classify(attempt.seen(status))
        if attempt.executed is not None:
            over = _as_commanded(attempt.executed, over)
        if left:
            tell(f"{left} processes that the trainer had left behind were ended")
        said = over.attributes()
        with guard:
            teller.note(events.EXITED, said)
            teller.last_words(attempt.known, over, attempt.trainer.pid)
        return over, attempt, teller

    def _until_it_ends(self, attempt: Attempt) -> tuple[int | None, int]:
        while True:
            kind, fact = self._next(LOOK_S)
            if kind == ENDED:
                status: tuple[int | None, int] = fact
                return status
            # Whatever is wrong with us, the trainer goes on.
            with guard:
                self._take(attempt, kind, fact)
                attempt.look()
                self._rolled_back_inside(attempt)

    def _take(self, attempt: Attempt, kind: str, fact: Any) -> None:
        if kind == SIGNAL and fact == signal.SIGWINCH:
            for stream in self._streams:
                stream.resize()
        elif kind == SIGNAL:
            self._stopped = self._stopped or fact in STOPS
            attempt.relay(fact)
        elif kind == ORDER:
            attempt.order(fact)
        elif kind == DUMPED:
            attempt.dumped(fact)

    def _next(self, timeout_s: float) -> tuple[str, Any]:
        try:
            return self._news.get(timeout=timeout_s)
        except queue.Empty:
            return "", None

    def _post(self, kind: str, fact: Any) -> None:
        self._news.put((kind, fact))

    def _signal(self, number: int) -> None:
        self._post(SIGNAL, number)

    def _ask(self, command: Command) -> None:
        self._post(ORDER, command)

    def _rolled_back_inside(self, attempt: Attempt) -> None:
        """The trainer went back by itself: what it saved between is no way back any more."""
        while attempt.went_back:
            command = attempt.went_back.pop()
            self._planner.went_back(command.id, command.args)

    # What follows

    def _after(self, over: Ending, attempt: Attempt, teller: Teller) -> int | None:
        """The exit code, or None for another attempt; the plan is made."""
        asked = self._asked(attempt)
        if self._stopped or over.cause in NEVER:
            return over.code
        lived_s = time.monotonic() - attempt.began_s
        verdict: Again | GiveUp | None
        if over.cause != ending.RESTART and not self._alone(attempt.known):
            waited = self._wait_for_all(over, teller)
            if waited is None:
                return over.code
            asked, verdict = waited, None
        else:
            verdict = self._restarts.after(
                over.cause, lived_s, pulses.furthest(attempt.known), time.monotonic()
            )
        if isinstance(verdict, GiveUp):
            teller.say(events.GAVE_UP, f"{verdict.reason}; the last one: {over.reason}", bad=True)
            return over.code
        more = self._planner.next(attempt.known, attempt.first_attempt, asked)
        self._me = replace(self._me, attempt=self._me.attempt + more)
        return self._pause(over, verdict or Again(0.0), teller)

    def _pause(self, over: Ending, verdict: Again, teller: Teller) -> int | None:
        resume = self._planner.plan.resume
        where = f"going on from {resume}" if resume else "from the beginning"
        about = {events.SUPERVISOR_DELAY: round(verdict.delay_s, 3), events.SUPERVISOR_RESUME: resume}
        teller.say(
            events.RESTARTING,
            f"{over.cause}: {over.reason}; attempt {self._me.attempt} in {verdict.delay_s:.1f} s, {where}",
            about,
        )
        until, later = time.monotonic() + verdict.delay_s, []
        while (left := until - time.monotonic()) > 0:
            kind, fact = self._next(left)
            if kind == SIGNAL and fact in STOPS:
                return over.code
            if kind == ORDER:
                later.append(fact)
        for command in later:
            self._ask(command)
        return None

    def _asked(self, attempt: Attempt) -> Asked:
        """The command that ended the attempt, and the word that we did it if we did."""
        done = attempt.executed
        if done is not None:
            exit = "stopped" if done.action == "stop" else "relaunched"
            self._orders.finish(done, commands.SUCCEEDED, None, {"exit": exit})
            return Asked(done.id, done.args)
        for pulse in attempt.known:
            if pulse.ended is not None and pulse.asked:
                return Asked(str(pulse.asked.get("id")), dict(pulse.asked.get("args") or {}))
        return Asked()

    def _wait_for_all(self, over: Ending, teller: Teller) -> Asked | None:
        """On several nodes nobody starts alone: a command starts all. None to end."""
        teller.say(
            events.WAITING,
            f"{over.cause}: {over.reason}; this node waits for a restart of the whole run",
            bad=True,
        )
        until = time.monotonic() + self._options.wait_s
        while (left := until - time.monotonic()) > 0:
            kind, fact = self._next(left)
            if kind == SIGNAL and fact in STOPS:
                return None
            if kind == ORDER and fact.action == "stop":
                self._orders.finish(fact, commands.SUCCEEDED)
                return None
            if kind == ORDER and fact.action in ("restart", "rollback") and not self._orders.late(fact):
                self._orders.running(fact)
                self._orders.finish(fact, commands.SUCCEEDED, None, {"exit": "relaunched"})
                return Asked(fact.id, fact.args)
        teller.say(events.GAVE_UP, f"no restart came within {self._options.wait_s:g} s", bad=True)
        return None

    # Surroundings

    def _alone(self, known: list[Pulse]) -> bool:
        """Whether what we start is the whole run."""
        if self._several is not None:
            return not self._several
        if launch.starts_all_nodes(self._options.command):
            return True
        return not (launch.several_nodes(self._options.command) or pulses.on_several_nodes(known))

    def _share_id(self) -> bool:
        """An id that was made up here would differ from that of the other nodes."""
        given = self._settings.run_id or self._environ.get("SLURM_JOB_ID")
        return bool(given) or self._alone([])

    def _allowed(self) -> list[str] | None:
        """The narrowest of our own list and those of the ranks."""
        lists = [
            set(pulse.allow) for pulse in (self._now.known if self._now else []) if pulse.allow is not None
        ]
        if self._settings.allow is not None:
            lists.append(set(self._settings.allow))
        return sorted(set.intersection(*lists)) if lists else None


def _as_commanded(command: Command, over: Ending) -> Ending:
    """We ended it because somebody wanted it."""
    cause = ending.STOPPED if command.action == "stop" else ending.RESTART
    return replace(
        over, cause=cause, reason=f"{command.action} was commanded, and the trainer did not answer"
    )
