"""What each command does: the built-in actions, and the handlers and tunables that the trainer registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from emitter import _tune
from emitter._exits import Restart, Stop
from emitter._tune import Tunable
from emitter._verify import Refusal
from emitter.vocabulary import arguments, commands
from emitter.vocabulary.commands import Command

if TYPE_CHECKING:
    from emitter._commands import Commander

LEASE_S: Final = 1800.0
"""A pause that nobody ends becomes a stop after this long."""

ENDS_WITH_RESTART: Final = frozenset({"restart", "rollback"})
UNSUPERVISED: Final = (
    "nobody would start this trainer again; run it under `trainwarden run`, register on(...) for the action, "
    "or set TRAINWARDEN_SUPERVISOR=1 where something else starts it again"
)

Detail = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """A value that was set, to be read back after the next step."""

    command: Command
    tunable: Tunable
    old: float
    new: float
    started_ns: int


class Later:
    """What a handler returns when the work ends after it has returned: exactly one of these says how."""

    def __init__(self) -> None:
        self._finish: Callable[..., None] | None = None
        self._early: dict[str, Any] | None = None

    def succeeded(self, detail: Detail | None = None) -> None:
        """The command is done; ``detail`` goes into the acknowledgement."""
        self._end(state=commands.SUCCEEDED, detail=detail)

    def failed(self, reason: str) -> None:
        """The command could not be done."""
        self._end(state=commands.FAILED, reason=reason)

    def bind(self, finish: Callable[..., None]) -> None:
        """Where the answer goes; one that was given before goes there now."""
        self._finish = finish
        if self._early is not None:
            finish(**self._early)

    def _end(self, **answer: Any) -> None:
        if self._finish is None:
            self._early = self._early or answer
        else:
            self._finish(**answer)


class Actions:
    """``perform`` returns the detail of a success, or None where the acknowledgement follows later."""

    def __init__(
        self,
        handlers: dict[str, Callable[[Command], Any]],
        tunables: dict[str, Tunable],
        *,
        dump_stacks: Callable[[Command], None] | None,
        pausing: Callable[[bool], None],
        now_s: Callable[[], float],
        arm: Callable[[], object],
        supervised: bool = True,
    ) -> None:
        self.handlers, self._tunables, self._supervised = handlers, tunables, supervised
        self._dump, self._pausing, self._now_s, self._arm = dump_stacks, pausing, now_s, arm
        self._checks: list[Check] = []
        self._open: list[Command] = []
        self._paused_until: float | None = None
        self.commander: Commander
        self._builtin: dict[str, Callable[[Command, int], Detail | None]] = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "restart": self._restart,
            "rollback": self._restart,
            "set": self._set,
        }
        if dump_stacks is not None:
            self._builtin["dump_stacks"] = self._dump_stacks

    def known(self) -> set[str]:
        """The actions that can be run here."""
        return set(self._builtin) | set(self.handlers)

    def objection(self, command: Command) -> Refusal | None:
        """What is wrong with the arguments, or stands against a built-in action."""
        wrong = arguments.complaint(command.action, command.args)
        if wrong is not None:
            return Refusal(commands.REJECTED, "bad_arguments", {"error": wrong})
        if command.action in self.handlers:
            return None
        if command.action == "set":
            return self._bad_set(command.args)
        if command.action in ENDS_WITH_RESTART and not self._supervised:
            return Refusal(commands.REJECTED, "unsupervised", {"error": UNSUPERVISED})
        return None

    def perform(self, command: Command, started_ns: int) -> Detail | None:
        """Run the registered handler, else the built-in action."""
        handler = self.handlers.get(command.action)
        if handler is None:
            return self._builtin[command.action](command, started_ns)
        result = handler(command)
        if isinstance(result, Later):
            self._open.append(command)
            result.bind(partial(self._finished, command, started_ns))
            return None
        return result if isinstance(result, dict) else {}

    def settle(self) -> None:
        """Read back what was set before the step that has just ended."""
        checks, self._checks = self._checks, []
        for check in checks:
            try:
                now = check.tunable.get()
                bad = "overwritten" if _tune.was_overwritten(check.old, check.new, now) else None
            except Exception as error:  # noqa: BLE001 - the trainer's own getter
                now, bad = None, f"{type(error).__name__}: {error}"
            state = commands.FAILED if bad else commands.SUCCEEDED
            detail = {**_named(check), "read_back": now}
            self.commander.finish(check.command, state, check.started_ns, reason=bad, detail=detail)

    def _finished(self, command: Command, started_ns: int, *, state: str, **answer: Any) -> None:
        self._open = [other for other in self._open if other is not command]
        self.commander.finish(command, state, started_ns, **answer)

    def abandon(self) -> None:
        """The trainer ends before values could be read back, or before what a handler began had ended."""
        for command in self._open:
            self.commander.finish(command, commands.ABORTED, reason="ended")
        checks, self._checks = self._checks, []
        for check in checks:
            self.commander.finish(
                check.command, commands.ABORTED, check.started_ns, reason="ended", detail=_named(check)
            )

    def _bad_set(self, args: Detail) -> Refusal | None:
        tunable = self._tunables.get(_tune.key(str(args.get("parameter"))))
        if tunable is None:
            detail = {"parameter": args.get("parameter"), "known": sorted(self._tunables)}
            return Refusal(commands.REJECTED, "unknown_parameter", detail)
        try:
            _tune.asked(args)
        except _tune.BadArgumentsError as error:
            return Refusal(commands.REJECTED, "bad_arguments", {"error": str(error)})
        return None

    def _set(self, command: Command, started_ns: int) -> None:
        tunable = self._tunables[_tune.key(str(command.args.get("parameter")))]
        old = tunable.get()
        kind, number = _tune.asked(command.args)
        new = number if kind == "value" else old * number
        tunable.set(new)
        self._checks.append(Check(command, tunable, old, new, started_ns))
        self._arm()

    def _stop(self, command: Command, started_ns: int) -> Detail:
        raise Stop(command)

    def _restart(self, command: Command, started_ns: int) -> Detail:
        raise Restart(command)

    def _dump_stacks(self, command: Command, started_ns: int) -> Detail:
        assert self._dump is not None
        self._dump(command)
        return {}

    def _resume(self, command: Command, started_ns: int) -> Detail:
        withdrawn = self.commander.withdraw("pause", "resumed")
        with self.commander.bell:
            was_paused, self._paused_until = self._paused_until is not None, None
            self.commander.bell.notify_all()
        return {"was_paused": was_paused, "withdrawn": withdrawn}

    def _pause(self, command: Command, started_ns: int) -> None:
        """Hold the loop. The pause has succeeded once it holds; other commands run while it does."""
        lease_s = float(command.args.get("lease_s", LEASE_S))
        nested = self._paused_until is not None
        self._paused_until = self._now_s() + lease_s
        self.commander.finish(command, commands.SUCCEEDED, started_ns, detail={"lease_s": lease_s})
        if nested:
            return
        self._pausing(True)
        try:
            self._hold(command)
        finally:
            self._paused_until = None
            self._pausing(False)

    def _hold(self, command: Command) -> None:
        while (until := self._paused_until) is not None:
            left = until - self._now_s()
            if left <= 0:
                raise Stop(command)
            with self.commander.bell:
                if not self.commander.waiting() and self._paused_until is not None:
                    self.commander.bell.wait(min(left, 0.5))
            if self.commander.waiting():
                self.commander.run_pending()


def _named(check: Check) -> Detail:
    return {"parameter": check.command.args.get("parameter"), "from": check.old, "to": check.new}
