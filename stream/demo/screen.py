"""The demo on the terminal: a progress bar with lines above it; plain lines where there is no terminal."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stream.demo.story import Happening, Story
from stream.demo.summary import Summary
from stream.stack import READY, Status

_STYLES: Final = {
    "bad": "bold red", "diagnosis": "yellow", "command": "magenta", "ack": "cyan", "recovery": "bold green",
    "lifecycle": "dim", "stack": "dim", "supervisor": "bold cyan",
    "restart": "bold red",
}  # fmt: skip
_PLAIN_EVERY: Final = 50


class Screen:
    """Shows the story as it happens; times are seconds since the demo began."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began_ns = time.time_ns()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._told_step = 0

    def part(self, status: Status) -> None:
        """A part of the stack changed its state."""
        if status.state == READY and status.took_s is not None:
            self.tell(Happening("stack", time.time_ns(), f"{status.name} ready after {status.took_s:.1f} s"))

    def tell(self, happening: Happening) -> None:
        """One line."""
        after_s = (happening.time_ns - self._began_ns) / 1e9
        line = Text.assemble(
            (f"{after_s:7.2f} s  ", "dim"),
            (f"{happening.kind:<11}", _STYLES.get(happening.kind, "")),
            happening.text,
        )
        self.console.print(line, soft_wrap=True)

    def begin(self, steps: int) -> None:
        """Training begins."""
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[loss]}"), TimeElapsedColumn(),
            )  # fmt: skip
            self._progress = Progress(*columns, console=self.console)
            self._task = self._progress.add_task("the trainer is starting", total=steps, loss="")
            self._progress.start()

    def step(self, story: Story) -> None:
        """New steps may have come."""
        if not story.steps:
            return
        last = story.steps[-1]
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task, description="training", completed=last.step + 1, loss=f"loss {last.loss:.4g}"
            )
        elif len(story.steps) >= self._told_step + _PLAIN_EVERY:
            self._told_step = len(story.steps)
            self.tell(Happening("learning", last.time_ns, f"step {last.step}: loss {last.loss:.4g}"))

    def end(self) -> None:
        """Training is over; safe to call twice."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def summary(self, summary: Summary) -> None:
        """Timings, checks, and where to look."""
        story, facts = summary.evidence.story, summary.evidence.facts
        self.console.print()
        if hops := summary.timings:
            since = "the bad value" if story.bad is not None else "the last step before it"
            table = Table(f"from {since} to", "seconds", box=None, pad_edge=False)
            table.columns[1].justify = "right"
            for name, seconds in hops.items():
                table.add_row(name, f"{seconds:.3f}")
            self.console.print(table)
            self.console.print()
        for check in summary.checks:
            mark = ("✓ ", "bold green") if check.ok else ("✗ ", "bold red")
            self.console.print(Text.assemble(mark, check.name, (f"  {check.seen}", "dim")), soft_wrap=True)
        rows = ", ".join(f"{table} {count}" for table, count in facts.rows.items() if count)
        self.console.print(Text(f"\nrows in the history: {rows}"), soft_wrap=True)
        took = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in summary.took.items())
        self.console.print(Text(f"took: {took}"), soft_wrap=True)
        verdict = ("Every link held.", "bold green") if summary.ok else ("Not every link held.", "bold red")
        self.console.print(Text.assemble(verdict))

    def say(self, text: str) -> None:
        """A sentence."""
        self.console.print(Text(text), soft_wrap=True)
