"""The global gradient norm, as a tensor: computed on the device, read when everything else is."""

from __future__ import annotations

from typing import Any


def gradient_norm(torch: Any, optimizer: Any) -> Any:
    """2-norm of all gradients that an optimizer holds, as a 0-dim float32 tensor; None where there is none.

    Sharded, sparse and other special gradients give None: their norm would need the other ranks.
    """
    groups: dict[Any, list[Any]] = {}
    plain, strided = torch.Tensor, torch.strided
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is None:
                continue
            if type(gradient) is not plain or gradient.layout is not strided:
                return None
            groups.setdefault((gradient.device, gradient.dtype), []).append(gradient)
    if not groups or not all(_readable(torch, device) for device, _ in groups):
        return None
    with torch.no_grad():
        norm = _combined(torch, [_norm(torch, group) for group in groups.values()])
        # A fused optimizer under GradScaler divides by the scale itself, later.
        scale = getattr(optimizer, "grad_scale", None)
        return norm if scale is None else norm / scale.to(norm.device)


def _norm(torch: Any, gradients: list[Any]) -> Any:
    # Three digits are what 16 bits would leave of the norm.
    wide = torch.float32 if gradients[0].dtype in (torch.float16, torch.bfloat16) else None
    return _combined(torch, torch._foreach_norm(gradients, 2.0, dtype=wide))


def _combined(torch: Any, norms: list[Any]) -> Any:
    """Norm of norms."""
    if len(norms) == 1:
        return norms[0].float()
    first = norms[0].device
    norms = [norm if norm.device == first else norm.to(first, non_blocking=True) for norm in norms]
    return torch.linalg.vector_norm(torch.stack(norms).float())


def _readable(torch: Any, device: Any) -> bool:
    """Not a tensor without values, nor work that would become a part of a CUDA graph."""
    if device.type == "meta":
        return False
    return device.type != "cuda" or not torch.cuda.is_current_stream_capturing()
