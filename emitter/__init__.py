"""Trainwarden's emitter: one line in the step loop.

``init`` once, ``step`` in the loop; everything else is optional. Importing loads no third-party module.
"""

from emitter._api import (
    checkpoint,
    eval,
    event,
    init,
    log,
    lr_scale,
    on,
    phase,
    resume_path,
    shutdown,
    step,
    tune,
    watch,
)
from emitter._exits import Restart, Stop

__all__ = [
    "Command",
    "Restart",
    "SettingError",
    "Stop",
    "checkpoint",
    "eval",
    "event",
    "init",
    "log",
    "lr_scale",
    "on",
    "phase",
    "resume_path",
    "shutdown",
    "step",
    "tune",
    "watch",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from emitter._settings import SettingError
    from emitter.vocabulary.commands import Command


def __getattr__(name: str) -> object:
    """The types that cost modules are loaded when they are asked for."""
    if name == "Command":
        from emitter.vocabulary.commands import Command

        return Command
    if name == "SettingError":
        from emitter._settings import SettingError

        return SettingError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
