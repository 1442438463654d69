"""Models and data that are too small to learn anything: what counts is how the libraries drive them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

WORDS = 32


class Callback(TrainerCallback):  # type: ignore[misc] # its types are not looked at
    """What the tests' own callbacks derive from."""


class Sequences:
    """Numbers that count up, as token ids."""

    def __init__(self, count: int = 24, length: int = 8) -> None:
        self._rows = [(torch.arange(length) + start) % WORDS for start in range(count)]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self._rows[index], "labels": self._rows[index]}


def model(seed: int = 0) -> GPT2LMHeadModel:
    """A GPT-2 of some thousand weights, made here."""
    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=WORDS, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
        )
    )


def trainer(out: Path, callbacks: list[Any], **arguments: Any) -> Trainer:
    """Six optimizer steps of four sequences, every one logged; ``arguments`` override."""
    chosen = {
        "per_device_train_batch_size": 4, "max_steps": 6, "logging_steps": 1, "save_strategy": "no",
        "report_to": "none", "disable_tqdm": True, "use_cpu": True, "seed": 0,
        "dataloader_pin_memory": False, **arguments,
    }  # fmt: skip
    return Trainer(
        model=model(), args=TrainingArguments(output_dir=str(out), **chosen),
        train_dataset=Sequences(), eval_dataset=Sequences(8), callbacks=callbacks,
    )  # fmt: skip
