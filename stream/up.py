"""``trainwarden up``: the embedded stack in the foreground, with a live status."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from emitter.vocabulary import stack as discovery
from stream import stack as stacks
from stream.datadir import DataDirError
from stream.ports import PortsError
from stream.signals import Signals
from stream.stack import Stack, StackError, Status
from stream.totals import Totals
from stream.upkeep import Upkeep, UpkeepError, limits

FINE, USAGE, ERROR = 0, 2, 3

_CHECK_S: Final = 0.25
_STYLES: Final = {
    stacks.READY: "green", stacks.EXTERNAL: "green", stacks.STARTING: "yellow", stacks.STOPPING: "yellow",
    stacks.FAILED: "red",
}  # fmt: skip
MEMORY: Final = "The embedded broker keeps messages in memory: they are gone when it ends."
TRIMMED: Final = "What all parts have read goes when it holds more than {}."
LOST: Final = (
    f"{MEMORY} Commands under way and what the history had not stored yet are lost; what the history has "
    "stored is safe."
)


def run(
    *,
    data_dir: Path | None = None,
    ports: str = "default",
    mode: str = "approve",
    rules: Sequence[Path] | None = None,
    notify: Path | None = None,
    quiet: bool = False,
) -> int:
    """Run the stack until Ctrl-C or SIGTERM; the exit code: 0, or 3 when a part failed."""
    screen = Screen(Console(stderr=True), quiet)
    try:
        most = limits()
    except UpkeepError as error:
        screen.fail(str(error))
        return USAGE
    stack = Stack(
        data_dir or discovery.data_dir(),
        ports=ports,
        mode=mode,
        rules=rules or (),
        notify=notify,
        changed=screen.changed,
    )
    with Signals() as signals, screen:
        try:
            screen.show(stack)
            stack.start()
            return screen.watch(stack, Upkeep(stack, most, screen.tell))
        except KeyboardInterrupt:
            return FINE
        except (StackError, DataDirError, PortsError) as error:
            screen.fail(str(error))
            return ERROR
        finally:
            signals.stopping()
            stack.stop(signals.forced)


class Screen:
    """What the user sees: a table that lives on a terminal, plain lines elsewhere, nothing when quiet."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._live: Live | None = None
        self._stack: Stack | None = None
        self._totals: Totals | None = None

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if self._totals is not None:
            self._totals.stop()

    def show(self, stack: Stack) -> None:
        """Begin to show this stack."""
        self._stack = stack
        if self._console.is_terminal and not self._quiet:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=4,
                redirect_stdout=False,
            )
            self._live.start()

    def changed(self, status: Status) -> None:
        """A part changed; on a terminal the table shows it by itself."""
        if self._live is None and not self._quiet and status.state not in (stacks.WAITING, stacks.STOPPING):
            took = f" ({status.took_s:.1f} s)" if status.state == stacks.READY else ""
            self._say(f"{status.name}: {status.state} {status.address}{took}")

    def watch(self, stack: Stack, upkeep: Upkeep) -> int:
        """Stay until a part dies (raises StackError) or a signal comes (KeyboardInterrupt)."""
        self._totals = Totals(stack.clickhouse)
        if self._live is None and not self._quiet:
            otlp = f"{stack.endpoints['otlp_http']} and {stack.endpoints['otlp_grpc']}"
            self._say(f"ready: OTLP {otlp}, viewer {stack.endpoints['viewer']}")
            self._say(f"{MEMORY} {TRIMMED.format(upkeep.most)}")
        while True:
            stack.check()
            upkeep.look()
            time.sleep(_CHECK_S)

    def fail(self, message: str) -> None:
        """Say what went wrong, also when quiet."""
        self._console.print(Text(f"trainwarden up: {message}", style="red"), soft_wrap=True)
        if self._totals is not None:
            self._console.print(Text(LOST), soft_wrap=True)

    def tell(self, line: str) -> None:
        """Something that a person may want to know later; above the table where there is one."""
        if not self._quiet:
            self._say(line)

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def _render(self) -> RenderableType:
        if self._stack is None:
            return ""
        table = Table("part", "state", "address", "pid", "ready after", box=None, pad_edge=False)
        for status in self._stack.parts.values():
            state = Text(status.state, style=_STYLES.get(status.state, "dim"))
            pid = "" if status.pid is None else str(status.pid)
            took = "" if status.took_s is None else f"{status.took_s:.1f} s"
            table.add_row(status.name, state, status.address, pid, took)
        return Group(table, Text(self._words(self._stack), style="dim"))

    def _words(self, stack: Stack) -> str:
        waiting = [status.name for status in stack.parts.values() if status.state == stacks.STARTING]
        if waiting:
            return f"waiting for {', '.join(waiting)}"
        if any(status.state == stacks.STOPPING for status in stack.parts.values()):
            return "stopping in order; Ctrl-C again does not wait"
        if self._totals is None:
            return ""
        return (
            f"{self._totals}\n"
            f"viewer {stack.endpoints['viewer']}   data {stack.data.path}\n"
            f"{MEMORY} {TRIMMED.format(limits())}\n"
            f"emitter.init() on this machine finds this stack {_how(stack)}. Ctrl-C stops it."
        )


def _how(stack: Stack) -> str:
    if stack.data.path.resolve() == discovery.data_dir().resolve():
        return "by itself"
    return f"with {discovery.ENV_DATA_DIR}={stack.data.path}"
