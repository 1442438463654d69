"""What is said of one number: its name, unit, event and meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One canonical name. ``unit`` follows UCUM as OpenTelemetry does ("s", "By", "1", "Cel")."""

    name: str
    unit: str
    event: str
    meaning: str
    aliases: tuple[str, ...] = ()
