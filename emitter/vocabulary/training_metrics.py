"""Numbers of training and evaluation, and the names they are logged under."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.metric import Metric

_S: Final = "train.step"
_E: Final = "train.eval"

TRAINING: Final = (
    Metric("loss", "1", _S, "Training loss of the step", (
        "train/loss", "train_loss", "training_loss", "loss/train", "train.loss", "lm loss", "lm_loss",
        "total_loss", "actor/loss", "train/loss_step", "train_loss_step", "train/total_loss",
        "losses/total_loss", "ppo/loss/total", "loss_metrics/global_avg_loss", "Train/Samples/train_loss",
    )),
    Metric("grad_norm", "1", _S, "Global gradient norm before clipping", (
        "train/grad_norm", "gradient_norm", "gnorm", "grad-norm", "grad norm", "global_grad_norm",
        "total_norm", "actor/grad_norm", "train/gradient_norm", "train_grad_norm", "optim/grad_norm",
        "grad_norm/total",
    )),
    Metric("learning_rate", "1", _S, "Learning rate of the first parameter group", (
        "lr", "train/learning_rate", "train/lr", "learning-rate", "learning rate", "actor/lr",
        "train/learning-rate", "charts/learning_rate", "ppo/learning_rate", "optim/learning_rate",
        "lr-Adam", "lr-AdamW", "Train/Samples/lr",
    )),
    Metric("step_time", "s", _S, "Time from the previous step() to this one, measured by the emitter", (
        "train/step_time", "iter_time", "time_per_step", "step_time_s", "iteration-time", "timing_s/step",
        "timing/all", "timing/train/total_step_time", "time_metrics/end_to_end(s)", "perf/time_per_step",
        "sec_per_step", "seconds_per_step",
    )),
    Metric("data_time", "s", _S, "Part of the step spent waiting for data", (
        "train/data_time", "data_wait", "dataloader_time", "time_metrics/data_loading(s)", "timing/data",
        "data_loading_time",
    )),
    Metric("tokens_per_second", "1/s", _S, "Tokens processed per second by this rank", (
        "tokens/s", "tokens_per_sec", "tok/s", "train/tokens_per_second", "throughput/tokens_per_second",
        "tps", "throughput(tps)", "perf/throughput", "train_tokens_per_second",
        "performance/tokens_per_sec_per_gpu", "throughput/device/tokens_per_sec", "tgs",
    )),
    Metric("samples_per_second", "1/s", _S, "Samples processed per second by this rank", (
        "samples/s", "train_samples_per_second", "samples_per_sec", "throughput/samples_per_sec",
        "throughput/device/samples_per_sec", "train/samples_per_second",
    )),
    Metric("token_accuracy", "1", _S, "Share of tokens that the model would have chosen (0 to 1)", (
        "mean_token_accuracy", "train/mean_token_accuracy", "train/token_accuracy",
    )),
    Metric("loss_scale", "1", _S, "Scale of mixed-precision training", (
        "amp/scale", "grad_scale", "scaler/scale", "loss scale", "loss-scale", "Train/Samples/loss_scale",
    )),
    Metric("throughput", "1", _S, "Work per second, in the unit of the trainer", (
        "train/throughput",
    )),
    Metric("tflops", "TFLOP/s", _S, "Floating-point work per second and GPU", (
        "train/tflops", "perf/tflops", "tflops_per_gpu", "performance/tflops",
    )),
    Metric("mfu", "1", _S, "Model FLOP utilisation: share of the peak of the hardware", (
        "train/mfu", "perf/mfu", "perf/mfu/actor",
    )),
    Metric("tokens", "{token}", _S, "Tokens trained on since the run began", (
        "num_tokens", "train/num_tokens", "tokens_seen", "num_input_tokens_seen", "total_tokens",
        "train/total_tokens", "consumed_tokens", "n_tokens",
    )),
    Metric("samples", "{sample}", _S, "Samples trained on since the run began", (
        "consumed_samples", "consumed-samples", "num_samples", "samples_seen",
    )),
    Metric("gpu_memory", "By", _S, "Peak memory allocated on the GPU as the trainer reports it", (
        "gpu_memory_allocated", "max_memory_allocated", "cuda_max_memory_allocated",
    )),
    Metric("forward_time", "s", _S, "Part of the step spent in the forward pass", (
        "train/forward_time", "fwd_time", "timing/forward",
    )),
    Metric("backward_time", "s", _S, "Part of the step spent in the backward pass", (
        "train/backward_time", "bwd_time", "timing/backward",
    )),
    Metric("optimizer_time", "s", _S, "Part of the step spent in the optimizer", (
        "train/optimizer_time", "optim_time", "timing/optimizer",
    )),
    Metric("epoch", "1", _S, "Epoch, fractional inside one", (
        "train/epoch",
    )),
    Metric("eval_loss", "1", _E, "Loss on the evaluation set", (
        "eval/loss", "val_loss", "val/loss", "validation_loss", "valid_loss", "test_loss",
        "val_loss_epoch", "validation/loss", "validation_metrics/loss", "lm loss validation",
    )),
    Metric("eval_accuracy", "1", _E, "Accuracy on the evaluation set", (
        "eval/accuracy", "val_accuracy", "val/acc", "val_acc", "validation_accuracy",
        "validation/accuracy", "val/accuracy", "test_accuracy",
    )),
    Metric("eval_reward", "1", _E, "Mean reward of evaluation episodes or completions", (
        "eval/mean_reward", "eval/reward", "eval_mean_reward", "eval/episode_reward",
        "evaluation/episode_reward_mean", "evaluation/env_runners/episode_return_mean",
    )),
    Metric("eval_perplexity", "1", _E, "Perplexity on the evaluation set", (
        "eval/perplexity", "val/perplexity", "val_perplexity", "val/ppl", "val_ppl", "eval_ppl",
    )),
)  # fmt: skip
