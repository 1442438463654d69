"""What the expressions of one rule may name, and what they turned out to use."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.rulelang.fields import Field
from stream.rulelang.model import Slot


@dataclass
class WindowUse:
    """A window found in an expression: its compiled-to-be source and the statistics asked of it."""

    source: ast.expr
    last: int | None
    over_s: float | None
    needs: set[str] = field(default_factory=set)


@dataclass
class Scope:
    """Names of one rule. ``lets`` maps a name to its type once it was checked."""

    event: str
    fields: Mapping[str, Field]
    params: Mapping[str, float]
    lets: dict[str, str] = field(default_factory=dict)
    let_windows: set[str] = field(default_factory=set)
    slots: list[Slot] = field(default_factory=list)
    windows: dict[str, WindowUse] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)

    def slot(self, slot: Slot) -> int:
        """The index of this slot among those the rule reads."""
        if slot not in self.slots:
            self.slots.append(slot)
        return self.slots.index(slot)

    def window(self, source: ast.expr, last: int | None, over_s: float | None, needs: str) -> int:
        """The index of the window over this source; equal windows are shared."""
        key = f"{ast.dump(source)}|{last}|{over_s}"
        use = self.windows.setdefault(key, WindowUse(source, last, over_s))
        if needs:
            use.needs.add(needs)
        return list(self.windows).index(key)

    def known(self) -> set[str]:
        """Every name an expression may use here."""
        return {*self.fields, *self.params, *self.lets}

    def final_slots(self) -> tuple[Slot, ...]:
        """The slots, those tested with ``has`` anywhere in the rule marked optional."""
        return tuple(
            Slot(slot.place, slot.name, slot.kind, slot.kind == "has" or slot.name in self.optional)
            for slot in self.slots
        )
