"""Commands that a trainer can follow by itself: they are registered unless the user did, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emitter import _api, _tune

LEARNING_RATE = "learning_rate"


class Commands:
    """What one integration registered. ``close`` removes that, so that no optimizer is kept alive."""

    def __init__(self) -> None:
        self._handlers: dict[str, Callable[[Any], Any]] = {}
        self._tunables: dict[str, Any] = {}

    def on(self, action: str, handler: Callable[[Any], Any]) -> None:
        """Handle the action, unless the user registered something for it."""
        if action not in _api._handlers:
            self._handlers[action] = _api._handlers[action] = handler

    def learning_rate(self, optimizer: Any, scheduler: Any = None) -> None:
        """Let ``set`` commands change the learning rate, unless the user registered something for it."""
        if optimizer is None or LEARNING_RATE in _api._tunables:
            return
        # accelerate wraps the scheduler; the base rates are in the one inside.
        inner = getattr(scheduler, "scheduler", scheduler)
        made = _tune.of_optimizer(LEARNING_RATE, optimizer, inner)
        self._tunables[LEARNING_RATE] = _api._tunables[LEARNING_RATE] = made

    def close(self) -> None:
        """Take back what is still ours."""
        for table, ours in ((_api._handlers, self._handlers), (_api._tunables, self._tunables)):
            for name, registered in ours.items():
                if table.get(name) is registered:
                    del table[name]
            ours.clear()
