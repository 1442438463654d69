"""How a verified command ends an attempt: exceptions that the interpreter turns into an exit code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from emitter.vocabulary.commands import Command

RESTART_EXIT_CODE = 75
"""What a supervisor relaunches on (EX_TEMPFAIL of sysexits.h)."""


class Stop(SystemExit):
    """Raised at the step boundary by a ``stop`` command; unhandled, the process ends with code 0."""

    def __init__(self, command: Command | None = None) -> None:
        super().__init__(0)
        self.command = command


class Restart(SystemExit):
    """Raised at the step boundary by ``restart`` and ``rollback``; unhandled, exit code 75.

    ``command.args`` says what was asked for, for instance the checkpoint to go back to.
    """

    def __init__(self, command: Command | None = None) -> None:
        super().__init__(RESTART_EXIT_CODE)
        self.command = command
