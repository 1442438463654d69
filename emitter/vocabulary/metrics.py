"""Names of numbers: one list with unit and meaning, and the aliases that lead to it.

The documentation page of metrics is generated from this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Metric:
    """One canonical name. ``unit`` follows UCUM as OpenTelemetry does ("s", "By", "1", "Cel")."""

    name: str
    unit: str
    event: str
    meaning: str
    aliases: tuple[str, ...] = ()


_S = "train.step"
_R = "train.resource"

METRICS: Final = (
    Metric(
        "loss",
        "1",
        _S,
        "Training loss of the step",
        (
            "train/loss",
            "train_loss",
            "training_loss",
            "loss/train",
            "train.loss",
            "lm loss",
            "lm_loss",
            "total_loss",
            "actor/loss",
        ),
    ),
    Metric(
        "grad_norm",
        "1",
        _S,
        "Global gradient norm before clipping",
        (
            "train/grad_norm",
            "gradient_norm",
            "gnorm",
            "grad-norm",
            "grad norm",
            "global_grad_norm",
            "total_norm",
            "actor/grad_norm",
        ),
    ),
    Metric(
        "learning_rate",
        "1",
        _S,
        "Learning rate of the first parameter group",
        ("lr", "train/learning_rate", "train/lr", "learning-rate", "learning rate", "actor/lr"),
    ),
    Metric(
        "step_time",
        "s",
        _S,
        "Time from the previous step() to this one, measured by the emitter",
        ("train/step_time", "iter_time", "time_per_step", "step_time_s"),
    ),
    Metric(
        "data_time",
        "s",
        _S,
        "Part of the step spent waiting for data",
        ("train/data_time", "data_wait", "dataloader_time"),
    ),
    Metric(
        "tokens_per_second",
        "1/s",
        _S,
        "Tokens processed per second by this rank",
        ("tokens/s", "tokens_per_sec", "tok/s", "train/tokens_per_second", "throughput/tokens_per_second"),
    ),
    Metric(
        "samples_per_second",
        "1/s",
        _S,
        "Samples processed per second by this rank",
        ("samples/s", "train_samples_per_second"),
    ),
    Metric(
        "kl",
        "1",
        _S,
        "KL divergence from the reference policy",
        (
            "kl_divergence",
            "objective/kl",
            "train/kl",
            "approx_kl",
            "ppo_kl",
            "actor/ppo_kl",
            "policy/approxkl_avg",
            "train/approx_kl",
        ),
    ),
    Metric(
        "reward_mean",
        "1",
        _S,
        "Mean reward of the batch",
        (
            "reward",
            "rewards/mean",
            "train/reward",
            "objective/scores",
            "critic/rewards/mean",
            "rollout/ep_rew_mean",
        ),
    ),
    Metric(
        "reward_std",
        "1",
        _S,
        "Standard deviation of the reward within the batch",
        ("rewards/std", "train/reward_std", "critic/rewards/std"),
    ),
    Metric(
        "entropy",
        "1",
        _S,
        "Mean entropy of the policy",
        (
            "policy_entropy",
            "objective/entropy",
            "policy/entropy_avg",
            "train/entropy",
            "actor/entropy_loss",
            "actor/entropy",
        ),
    ),
    Metric(
        "clip_fraction",
        "1",
        _S,
        "Share of samples clipped by PPO",
        ("clipfrac", "policy/clipfrac_avg", "train/clip_fraction", "actor/pg_clipfrac"),
    ),
    Metric(
        "value_loss",
        "1",
        _S,
        "Loss of the value function",
        ("critic/vf_loss", "loss/value_avg", "train/value_loss", "vf_loss"),
    ),
    Metric(
        "loss_scale",
        "1",
        _S,
        "Scale of mixed-precision training",
        ("amp/scale", "grad_scale", "scaler/scale", "loss scale"),
    ),
    Metric("epoch", "1", _S, "Epoch, fractional inside one", ("train/epoch",)),
    Metric(
        "eval_loss",
        "1",
        "train.eval",
        "Loss on the evaluation set",
        ("eval/loss", "val_loss", "val/loss", "validation_loss", "valid_loss", "test_loss"),
    ),
    Metric(
        "eval_accuracy",
        "1",
        "train.eval",
        "Accuracy on the evaluation set",
        ("eval/accuracy", "val_accuracy", "val/acc", "val_acc"),
    ),
    Metric("system.cpu.utilization", "1", _R, "Share of all CPU time in use on the host (0 to 1)"),
    Metric("system.memory.usage", "By", _R, "Memory in use on the host"),
    Metric("system.memory.utilization", "1", _R, "Share of the host's memory in use (0 to 1)"),
    Metric("system.filesystem.free", "By", _R, "Free bytes where the trainer runs"),
    Metric("system.disk.io.read", "By/s", _R, "Bytes read from disks per second"),
    Metric("system.disk.io.write", "By/s", _R, "Bytes written to disks per second"),
    Metric("system.network.io.receive", "By/s", _R, "Bytes received per second"),
    Metric("system.network.io.transmit", "By/s", _R, "Bytes sent per second"),
    Metric("system.shm.free", "By", _R, "Free bytes of /dev/shm, which DataLoader workers use"),
    Metric("process.cpu.utilization", "1", _R, "CPU use of the trainer process, 1 = one core"),
    Metric("process.memory.usage", "By", _R, "Resident memory of the trainer process"),
    Metric("process.open_file_descriptors", "{fd}", _R, "Open file descriptors of the trainer process"),
    Metric("process.threads", "{thread}", _R, "Threads of the trainer process"),
    Metric("hw.gpu.utilization", "1", _R, "Share of time a kernel ran (0 to 1)"),
    Metric("hw.gpu.memory.usage", "By", _R, "GPU memory in use"),
    Metric("hw.gpu.memory.limit", "By", _R, "GPU memory in all"),
    Metric("hw.gpu.memory.utilization", "1", _R, "Share of GPU memory in use (0 to 1)"),
    Metric("hw.gpu.temperature", "Cel", _R, "GPU temperature"),
    Metric("hw.gpu.power", "W", _R, "GPU power draw"),
    Metric("hw.gpu.clock.sm", "MHz", _R, "SM clock"),
    Metric("hw.gpu.clock.memory", "MHz", _R, "Memory clock"),
    Metric("hw.gpu.throttle_reasons", "1", _R, "NVML bit mask of reasons for reduced clocks"),
    Metric("hw.gpu.errors.ecc.corrected", "{error}", _R, "Corrected ECC errors since boot"),
    Metric("hw.gpu.errors.ecc.uncorrected", "{error}", _R, "Uncorrected ECC errors since boot"),
)

BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
ALIASES: Final[Mapping[str, str]] = {alias: metric.name for metric in METRICS for alias in metric.aliases}


def canonical(name: str, extra: Mapping[str, str] | None = None) -> str:
    """The canonical name of a logged metric; the name itself where no alias leads elsewhere.

    ``extra`` is the user's own table (``init(aliases=...)``) and wins over ours.
    """
    if extra and name in extra:
        return extra[name]
    return ALIASES.get(name, name)


def canonical_values(
    values: Mapping[str, object], extra: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The values under canonical names. A canonical name that was logged itself wins over its aliases;
    the losing alias stays under the name it was logged with, so nothing is dropped.
    """
    result: dict[str, object] = {}
    for name, value in values.items():
        target = canonical(name, extra)
        if target != name and (target in values or target in result):
            target = name
        result[target] = value
    return result
