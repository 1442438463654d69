"""The global gradient norm, as a tensor: computed on the device, read when everything else is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def gradient_norm(torch: Any, optimizer: Any) -> Any:
    """2-norm of all gradients that an optimizer holds, as a 0-dim float32 tensor; None where there is none.

    Sharded, sparse and other special gradients give None: their norm would need the other ranks.
    """
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    if not gradients or not all(_plain(torch, gradient) for gradient in gradients):
        return None
    if gradients[0].is_cuda and torch.cuda.is_current_stream_capturing():
        return None
    with torch.no_grad():
        norm = _norm(torch, [gradient.detach() for gradient in gradients])
        # A fused optimizer under GradScaler divides by the scale itself, later.
        scale = getattr(optimizer, "grad_scale", None)
        return norm if scale is None else norm / scale.to(norm.device)


def _norm(torch: Any, gradients: Iterable[Any]) -> Any:
    groups: dict[Any, list[Any]] = {}
    for gradient in gradients:
        groups.setdefault((gradient.device, gradient.dtype), []).append(gradient)
    device = next(iter(groups))[0]
    norms = [
        norm.to(device, torch.float32, non_blocking=True)
        for group in groups.values()
        for norm in torch._foreach_norm(group, 2.0)
    ]
    return torch.linalg.vector_norm(torch.stack(norms))


def _plain(torch: Any, gradient: Any) -> bool:
    return (
        type(gradient) is torch.Tensor and gradient.layout is torch.strided and gradient.device.type != "meta"
    )
