"""Labels: what a person found in recorded runs (docs/backtest.md has the format)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from emitter.vocabulary.diagnoses import CATEGORIES, CUSTOM_CATEGORY_PREFIX
from stream.backtest.errors import LabelsError
from stream.rulelang.errors import guess

CLEAN: Final = "clean"

_KIN: Final[Mapping[str, frozenset[str]]] = {
    "nan_loss": frozenset({"nan_grad", "loss_zero_collapse"}),
    "nan_grad": frozenset({"nan_loss"}),
    "loss_zero_collapse": frozenset({"nan_loss", "nan_grad"}),
    "loss_spike": frozenset({"divergence"}),
    "divergence": frozenset({"loss_spike", "plateau"}),
    "grad_explosion": frozenset({"nan_grad"}),
    "grad_vanishing": frozenset({"plateau"}),
    "plateau": frozenset({"divergence", "grad_vanishing"}),
    "kl_explosion": frozenset({"reward_anomaly"}),
    "reward_collapse": frozenset({"reward_anomaly", "entropy_collapse"}),
}
"""Categories that name the same event from another side: one of them finds the other."""


class Anomaly(msgspec.Struct, frozen=True):
    """One event in a run. ``first_step`` None: anywhere. Not ``certain``: neither hit nor false alarm."""

    type: str
    first_step: float | None = None
    certain: bool = True
    accept: tuple[str, ...] = ()

    @property
    def found_by(self) -> frozenset[str]:
        """The categories whose diagnoses find it."""
        return frozenset({self.type, *self.accept}) | _KIN.get(self.type, frozenset())


class Label(msgspec.Struct, frozen=True):
    """What is known of one run. In a *clean* one every alarm is false; in others only its anomalies count."""

    kind: Literal["clean", "broken", "ambiguous"] = msgspec.field(name="class")
    anomalies: tuple[Anomaly, ...] = ()


def read_labels(path: Path) -> dict[str, Label]:
    """The labels by run. Raises LabelsError."""
    try:
        labels = msgspec.json.decode(path.read_bytes(), type=dict[str, Label])
    except OSError as error:
        raise LabelsError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise LabelsError(f"{path}: {_sentence(str(error))}") from None
    except msgspec.DecodeError as error:
        raise LabelsError(f"{path}: expected JSON: {error}") from None
    mistakes = [mistake for name, label in labels.items() for mistake in _mistakes(name, label)]
    if mistakes:
        raise LabelsError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return labels


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]


def _mistakes(name: str, label: Label) -> list[str]:
    found = []
    if label.kind == CLEAN and label.anomalies:
        found.append(f'"{name}": expected a clean run to have no anomalies, got {len(label.anomalies)}')
    for index, anomaly in enumerate(label.anomalies):
        for word in (anomaly.type, *anomaly.accept):
            if word not in CATEGORIES and not word.startswith(CUSTOM_CATEGORY_PREFIX):
                place = f'"{name}", anomaly {index + 1}'
                found.append(f'{place}: expected a category, got "{word}"{guess(word, CATEGORIES)}')
    return found
