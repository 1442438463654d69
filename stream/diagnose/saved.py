"""Parts of a snapshot: events, resources, keys and diagnoses as plain data and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from emitter.vocabulary.diagnoses import Diagnosis
from stream.events import Event, Resource


def save_struct(value: Event | Resource | None) -> Any:
    """An event or a resource as a list, None as it is."""
    return None if value is None else msgspec.to_builtins(value)


def load_event(saved: Any) -> Event:
    """The event."""
    return msgspec.convert(saved, Event)


def load_resource(saved: Any) -> Resource:
    """The resource."""
    return msgspec.convert(saved, Resource)


def save_diagnosis(value: Diagnosis | None) -> dict[str, Any] | None:
    """A diagnosis as its fields."""
    return None if value is None else asdict(value)


def load_diagnosis(saved: dict[str, Any] | None) -> Diagnosis | None:
    """The diagnosis."""
    return None if saved is None else Diagnosis(**saved)


def load_key(saved: Sequence[Any]) -> tuple[Any, ...]:
    """A series key."""
    return tuple(saved)
