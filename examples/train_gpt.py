"""A character-level GPT, small enough to learn English spelling in seconds on one CPU core.

    python examples/train_gpt.py                             trains; uses a local stack if one is running
    python examples/train_gpt.py --fault lr-spike@200        goes wrong at step 200
    trainwarden run -- python examples/train_gpt.py --fault hang@200       hangs, and is started again
    torchrun --nproc-per-node 4 examples/train_gpt.py --fault straggler@60 one rank of four gets slow

The text is Python's own language reference, which comes with every Python. The lines that call
``emitter`` are all the instrumentation there is. On ``rollback`` the trainer goes back to the checkpoint
it is told, in this same process, and goes on with a lower learning rate; started again by
``trainwarden run``, it goes on from the checkpoint that ``emitter.resume_path()`` names. Below torchrun all
ranks train one model, and the first of them saves.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import math
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from statistics import fmean
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - its name in every torch program
from torch import Tensor, distributed, nn

import emitter

CONTEXT, BATCH = 64, 32  # characters a sample, samples a batch
WIDTH, LAYERS, HEADS = 64, 2, 4
LEARNING_RATE, WARMUP = 6e-3, 30
CHECKPOINT_EVERY = 25
KEEP_CHECKPOINTS = 8
RANK, RANKS = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
HOLD_PAUSE_S = 0.05
SLOW_RANK, SLOW_S = 2, 0.25  # who is the straggler, and what each of its forward passes costs more


# -- the model ---------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Causal self-attention over (batch, time, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))


class Block(nn.Module):
    """Attention, then a two-layer perceptron; each reads the normalised stream and adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(WIDTH), Attention())
        self.perceptron = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.perceptron(x)


class GPT(nn.Module):
    """Predicts the next character at every place of a text of up to CONTEXT characters."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        # No normalisation before the head: it would hide an exploding stream from the gradient.
        self.head = nn.Linear(WIDTH, vocabulary)
        self.apply(self._initialise)

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def forward(self, text: Tensor) -> Tensor:
        x = self.characters(text) + self.positions.weight[: text.shape[1]]
        return self.head(self.blocks(x))


class Text:
    """The training text as numbers; ``batch`` draws random windows and the characters that follow."""

    def __init__(self) -> None:
        text = "".join(topics[name] for name in sorted(topics))
        alphabet = sorted(set(text))
        number = {character: index for index, character in enumerate(alphabet)}
        self.vocabulary = len(alphabet)
        self._data = torch.tensor([number[character] for character in text])

    def batch(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets, each (BATCH, CONTEXT)."""
        starts = torch.randint(len(self._data) - CONTEXT, (BATCH, 1))
        window = self._data[starts + torch.arange(CONTEXT + 1)]
        return window[:, :-1], window[:, 1:]


# -- what can go wrong -------------------------------------------------------------------------------


@dataclass
class Fault:
    """Something going wrong at a step, once: going back over that step does not bring it back."""

    kind: str
    start: int
    ended: bool = False

    LENGTHS: ClassVar = {
        "none": 0, "lr-spike": 10, "lr-ramp": 20, "bad-batch": 1, "nan": 1, "hang": 1, "crash": 1,
        "oom": 1, "disk-full": 1, "kill-rank": 1, "straggler": 80,
    }  # fmt: skip

    SPOILING: ClassVar = ("lr-spike", "lr-ramp", "bad-batch", "nan")

    def spoils(self, step: int) -> bool:
        """Whether the model is not what it should be until somebody rolls back."""
        return self.kind in self.SPOILING and not self.ended and step >= self.start

    @classmethod
    def parse(cls, text: str) -> Fault:
        """``none``, or ``kind@step``."""
        kind, _, step = text.partition("@")
        if kind not in cls.LENGTHS or (kind == "none") != (step == "") or not (step or "0").isdigit():
            kinds = "|".join(f"{name}@STEP" for name in cls.LENGTHS if name != "none")
            raise argparse.ArgumentTypeError(f"expected none|{kinds}, got {text!r}")
        return cls(kind, int(step or 0))

    def learning_rate_factor(self, step: int) -> float:
        """What the learning rate is multiplied with at this step."""
        if self._active(step, "lr-spike"):
            return 100.0
        return 1.6 ** (step - self.start) if self._active(step, "lr-ramp") else 1.0

    def loss_factor(self, step: int) -> float:
        """What the loss is multiplied with at this step."""
        if self._active(step, "nan"):
            return math.nan
        return 1000.0 if self._active(step, "bad-batch") else 1.0

    def strike(self, step: int) -> None:
        """What ends the process, or stops it for good."""
        if self._active(step, "crash"):
            raise RuntimeError(f"a fault was asked for at step {step}")
        if self._active(step, "hang"):
            deadlock()
        if self._active(step, "oom"):
            run_out_of_memory()
        if self._active(step, "disk-full"):
            Path("/dev/full").write_text("a disk without room")
        if self._active(step, "kill-rank"):
            os.kill(os.getpid(), signal.SIGKILL)

    def slow_down(self, step: int) -> None:
        """A rank that computes at a fraction of its speed, as a card does that is too hot."""
        if self._active(step, "straggler") and RANK == SLOW_RANK:
            time.sleep(SLOW_S)

    def rolled_back(self, from_step: int) -> None:
        """The run went back from this step; if the fault had begun, it is over."""
        self.ended = self.ended or from_step >= self.start

    def _active(self, step: int, kind: str) -> bool:
        return self.kind == kind and not self.ended and 0 <= step - self.start < self.LENGTHS[kind]


def deadlock() -> None:
    """Lock a C mutex twice. PyDLL keeps the interpreter's lock meanwhile: no thread of Python runs again."""
    c, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    c.pthread_mutex_lock(mutex)
    c.pthread_mutex_lock(mutex)


def run_out_of_memory() -> None:
    """Ask for more than this process is allowed to have: its address space may grow by 64 MiB."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), resource.RLIM_INFINITY))
    bytearray(1 << 30)


# -- training ----------------------------------------------------------------------------------------


class Trainer:
    """Model, optimizer, and the number of the next step. A checkpoint holds the state before its step."""

    def __init__(self, text: Text, fault: Fault, out: Path) -> None:
        self.text, self.fault, self.out = text, fault, out
        self.model = GPT(text.vocabulary)
        self.parallel = nn.parallel.DistributedDataParallel(self.model) if RANKS > 1 else self.model
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.1
        )
        self.peak_lr, self.step, self.steps_run = LEARNING_RATE, 0, 0
        self.losses: list[float] = []
        self.held_since: float | None = None
        self.model.register_forward_pre_hook(lambda *_: self.fault.slow_down(self.step))

    def train(self, steps: int, hold_s: float = 0.0) -> None:
        """Train up to this many steps; commands arrive inside ``emitter.step``."""
        while self.step < steps or self.held(hold_s):
            if self.step and self.step % CHECKPOINT_EVERY == 0 and RANK == 0:
                self.save(self.out / f"step-{self.step:06d}.pt", "regular")
            self.fault.strike(self.step)
            loss, grad_norm, lr = self.one_step()
            emitter.step(self.step, loss=loss, grad_norm=grad_norm, learning_rate=lr)
            self.step += 1

    def held(self, hold_s: float) -> bool:
        """A model that a fault has spoilt is no result: train on until somebody rolls back, for so long."""
        if not self.fault.spoils(self.step):
            return False
        self.held_since = self.held_since or time.monotonic()
        if time.monotonic() - self.held_since >= hold_s:
            return False
        time.sleep(HOLD_PAUSE_S)
        return True

    def one_step(self) -> tuple[float, float, float]:
        """One update of the weights; gives loss, gradient norm and learning rate."""
        began = time.perf_counter()
        lr = self.peak_lr * min(1.0, (self.step + 1) / WARMUP) * self.fault.learning_rate_factor(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        inputs, targets = self.text.batch()
        loss = F.cross_entropy(self.parallel(inputs).flatten(0, 1), targets.flatten())
        loss = loss * self.fault.loss_factor(self.step)
        self.optimizer.zero_grad()
        loss.backward()
        grad_norm = torch.nn.utils.get_total_norm(p.grad for p in self.model.parameters())
        self.optimizer.step()
        self.steps_run += 1
        self.losses.append(loss.item())
        if self.step % 10 == 0 and RANK == 0:
            took_ms = (time.perf_counter() - began) * 1000
            print(
                f"step {self.step:5d}  loss {loss:8.4f}  grad_norm {grad_norm:8.3g}  lr {lr:.1e}  "
                f"{took_ms:.0f} ms"
            )
        return loss.item(), grad_norm.item(), lr

    def save(self, path: Path, kind: str) -> None:
        """Write a checkpoint under its final name only when it is whole, and prove that it loads."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with emitter.checkpoint(self.step, path, kind=kind) as checkpoint:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            checkpoint.written(bytes=path.stat().st_size)
            checkpoint.verified(checksum=self.verify(path))
        if kind == "regular":
            self.forget_old()

    def load(self, path: str) -> None:
        """Go on from this checkpoint."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def resume(self, path: str) -> None:
        """Started again: what went wrong in the attempt before does not go wrong once more."""
        self.load(path)
        self.fault.ended = True
        self.peak_lr *= emitter.lr_scale() or 1.0
        print(f"resumed from {path} at step {self.step}")

    def verify(self, path: Path) -> str:
        """The file's SHA-256, after comparing what loads from it with the weights in memory."""
        loaded = torch.load(path, weights_only=True)["model"]
        for name, tensor in self.model.state_dict().items():
            if not torch.equal(tensor.nan_to_num(), loaded[name].nan_to_num()):
                raise OSError(f"{path}: {name} reads back different from what was written")
        return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()

    def forget_old(self) -> None:
        """Keep the newest checkpoints only."""
        for path in sorted(self.out.glob("step-*.pt"))[:-KEEP_CHECKPOINTS]:
            path.unlink()

    # Asked for by commands, between two steps.

    def save_now(self, command: Any) -> dict[str, Any]:
        """Save outside the regular series: during trouble this is evidence, never a way back."""
        kind = command.args.get("kind", "forensic")
        path = self.out / kind / f"step-{self.step:06d}.pt"
        self.save(path, kind)
        print(f"saved {path} ({kind})")
        return {"path": str(path), "step": self.step}

    def roll_back(self, command: Any) -> dict[str, Any]:
        """Load the checkpoint the command names, and go on from there with a scaled learning rate."""
        checkpoint = command.args.get("checkpoint")
        if not checkpoint:
            raise LookupError("no checkpoint from before the trouble to go back to")
        self.fault.rolled_back(self.step)
        came_from = self.step
        self.load(checkpoint["path"])
        self.step -= 1  # the loop adds one
        self.peak_lr *= command.args.get("lr_scale") or 1.0
        print(f"rolled back from step {came_from} to {self.step + 1}, learning rate {self.peak_lr:.1e}")
        return {"from_step": came_from, "to_step": self.step + 1, "learning_rate": self.peak_lr}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train a small character-level GPT on Python's documentation."
    )
    parser.add_argument("--run", default="gpt-small", help="name of the run")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--fault", type=Fault.parse, default="none", help="what goes wrong, as kind@step")
    parser.add_argument("--hold", type=float, default=0.0, help="seconds to wait for a rollback at the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads for torch")
    parser.add_argument("--out", type=Path, default=Path("checkpoints"), help="where checkpoints go")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.manual_seed(args.seed + RANK)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    if RANKS > 1:
        distributed.init_process_group("gloo")
    trainer = Trainer(Text(), args.fault, args.out.resolve())
    emitter.init(run=args.run)
    if RANKS > 1:
        emitter.watch(trainer.parallel, grad_norm=False)  # whose forward pass it is that all wait for
    emitter.on("save")(trainer.save_now)
    emitter.on("rollback")(trainer.roll_back)
    if path := emitter.resume_path():
        trainer.resume(path)
    trainer.train(args.steps, args.hold)
    summary = {"steps_run": trainer.steps_run, "final_loss": fmean(trainer.losses[-10:] or [math.nan])}
    print(f"finished: {summary['steps_run']} steps, loss {summary['final_loss']:.4f}")
    if RANK == 0:
        (args.out / "summary.json").write_text(json.dumps(summary))
    if RANKS > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
