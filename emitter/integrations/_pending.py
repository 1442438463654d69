"""The optimizer step that was made and not yet reported: it waits for what the trainer logs of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emitter.integrations._loop import Loop

_TIMES: Final = ("step_time", "data_time")


class Pending:
    """Times of a step are measured between ends of steps; evaluations, saves and commands do not count."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._held: tuple[int, Any, dict[str, Any]] | None = None
        self._logged: dict[str, Any] = {}
        self._data_s: float | None = None
        self._mark = self._since = 0.0

    def begin(self) -> None:
        """Training starts."""
        self._held, self._data_s = None, None
        self._logged.clear()
        self.restart_clock()

    def restart_clock(self) -> None:
        """What came before does not belong to the next step."""
        self._mark = self._since = self._loop.elapsed_s

    def data_asked(self) -> None:
        """The trainer waits for data from here on; so it does after each step."""
        self._since = self._loop.elapsed_s

    def data_came(self) -> None:
        """Data of the next step are there."""
        self._data_s = (self._data_s or 0.0) + self._loop.elapsed_s - self._since

    def hold(self, step: int, epoch: Any, rate: Any) -> None:
        """An optimizer step ended."""
        self.emit()
        values: dict[str, Any] = {"step_time": self._loop.elapsed_s - self._mark}
        if self._data_s is not None:
            values["data_time"], self._data_s = self._data_s, None
        if rate is not None:
            values["learning_rate"] = rate
        self._held = (step, epoch, values)
        self.restart_clock()

    def logged(self, values: Mapping[str, Any]) -> None:
        """The trainer logged this: of the step that is held, else of the next one."""
        self._logged.update(values)

    def emit(self) -> bool:
        """Report the step that is held, if there is one; True where a command asks to stop."""
        if self._held is None:
            return False
        (step, epoch, values), self._held = self._held, None
        logged, self._logged = self._logged, {}
        for name in _TIMES:
            if name in logged and name in values:
                logged[f"logged/{name}"] = logged.pop(name)
        # What was read from the optimizer is what it used; a scheduler's own word may be a step behind.
        stop = self._loop.step(step, {**logged, **values}, epoch)
        self.restart_clock()
        return stop

    def take_rest(self) -> dict[str, Any]:
        """What was logged after the last step."""
        rest, self._logged = self._logged, {}
        return rest
