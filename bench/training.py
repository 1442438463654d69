"""The real torch step that costs are measured in: an MLP on the CPU with one thread, 5-6 ms a step."""

from __future__ import annotations

from collections.abc import Callable


def training_step() -> Callable[[], float]:
    """One optimizer step; returns the loss as a number."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 10),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters())
    inputs, targets = torch.randn(256, 256), torch.randint(0, 10, (256,))

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step
