"""What the expressions of one rule may name, and what they turned out to use."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from stream.rulelang import fields
from stream.rulelang.fields import Field
from stream.rulelang.model import Slot
from stream.rulelang.typed import Typed

PerRun: TypeAlias = "tuple[tuple[str, float], ...]"
"""Patterns of a run's name with the value for such runs; the first that fits counts."""


@dataclass
class Frame:
    """The slots that one source of values reads: those of the rule's event, or of another (``with``)."""

    event: str | None = None
    slots: list[Slot] = field(default_factory=list)
    optional: set[str] = field(default_factory=set)

    def slot(self, slot: Slot) -> int:
        """The index of this slot."""
        if slot not in self.slots:
            self.slots.append(slot)
        return self.slots.index(slot)

    def final(self) -> tuple[Slot, ...]:
        """The slots; those tested with ``has`` anywhere are optional."""
        return tuple(
            Slot(
                one.place, one.name, one.kind, one.optional or one.kind == "has" or one.name in self.optional
            )
            for one in self.slots
        )


@dataclass
class WindowUse:
    """A window found in an expression. ``frame`` is set where events of another name feed it."""

    index: int
    source: ast.expr
    last: int | None
    over_s: float | None
    frame: Frame | None = None
    needs: set[str] = field(default_factory=set)


@dataclass
class PeerUse:
    """A value asked of other ranks."""

    index: int
    source: ast.expr
    of: str


@dataclass
class Scope:
    """Names of one rule. ``lets`` (and ``with``) map a name to what was checked, None where that failed.

    ``joining``: a ``with`` is being checked, ``frame`` is then the window's inside which we are.
    ``defaults`` are the params as the file has them, before anything overrides them; ``per_run`` holds
    other values for runs that fit a pattern.
    """

    event: str
    fields: Mapping[str, Field]
    params: Mapping[str, float]
    lets: dict[str, Typed | None] = field(default_factory=dict)
    own: Frame = field(default_factory=Frame)
    windows: dict[str, WindowUse] = field(default_factory=dict)
    peers: dict[str, PeerUse] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    joining: bool = False
    frame: Frame | None = None
    asking: bool = False
    defaults: Mapping[str, float] = field(default_factory=dict)
    per_run: Mapping[str, PerRun] = field(default_factory=dict)

    @property
    def slots(self) -> list[Slot]:
        """What the rule reads of its own event."""
        return self.own.slots

    def find(self, name: str) -> Field | None:
        """The field of the rule's event under this name."""
        return self.fields.get(name) or fields.find(self.event, name)

    def slot(self, slot: Slot) -> int:
        """The index of this slot among those read here."""
        return (self.frame or self.own).slot(slot)

    @contextmanager
    def window_source(self) -> Iterator[Frame | None]:
        """Inside the value of a window: what is read there is read when the window is fed."""
        outer = self.frame
        if self.joining:
            self.frame = Frame()
        try:
            yield self.frame
        finally:
            inner, self.frame = self.frame, outer
            if outer is not None and inner is not None:
                outer.event = outer.event or inner.event
                for slot in inner.slots:
                    outer.slot(slot)

    def window(
        self, source: ast.expr, last: int | None, over_s: float | None, needs: str, frame: Frame | None = None
    ) -> int:
        """The index of the window over this source; equal windows are shared."""
        fed = (frame.event, tuple(frame.slots)) if frame else None
        key = f"{ast.dump(source)}|{last}|{over_s}|{fed}"
        use = self.windows.setdefault(key, WindowUse(len(self.windows), source, last, over_s, frame))
        use.needs.update(needs.split())
        return use.index

    def peer(self, source: ast.expr, of: str) -> int:
        """The index of this value of other ranks."""
        key = f"{ast.dump(source)}|{of}"
        return self.peers.setdefault(key, PeerUse(len(self.peers), source, of)).index

    def known(self) -> set[str]:
        """Every name an expression may use here."""
        return {*self.fields, *self.params, *self.lets}
