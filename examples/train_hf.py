"""Hugging Face's Trainer on a model that is small enough for any machine. Two lines are Trainwarden's.

    python examples/train_hf.py                                      # to a local `trainwarden up`
    TRAINWARDEN_ENDPOINT=file:telemetry python examples/train_hf.py  # to files; `trainwarden ship telemetry`

Nothing is downloaded: the model is made from its configuration, the data are sequences that count up.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from emitter.integrations.huggingface import TrainwardenCallback

WORDS = 64


class Counting:
    """Sequences such as 7 8 9 10: the next token is easy to learn."""

    def __init__(self, count: int, length: int = 16) -> None:
        self._count, self._length = count, length

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = (torch.arange(self._length) + index) % WORDS
        return {"input_ids": row, "labels": row}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a very small GPT-2 with Hugging Face's Trainer.")
    parser.add_argument("--run", default="gpt2-tiny", help="name of the run")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("checkpoints"), help="where checkpoints go")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=WORDS, n_positions=16, n_embd=32, n_layer=2, n_head=2)
    trainer = Trainer(
        model=GPT2LMHeadModel(config),
        args=TrainingArguments(
            output_dir=str(args.out), max_steps=args.steps, per_device_train_batch_size=8,
            learning_rate=1e-3, logging_steps=5, eval_strategy="steps", eval_steps=50, save_steps=50,
            save_total_limit=3, report_to="none", logging_nan_inf_filter=False,
        ),
        train_dataset=Counting(1024), eval_dataset=Counting(64),
        callbacks=[TrainwardenCallback(run=args.run)],
    )  # fmt: skip
    trainer.train()


if __name__ == "__main__":
    main()
