"""Numbers of reinforcement learning, and the names they are logged under."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.metric import Metric

_S: Final = "train.step"

REINFORCEMENT: Final = (
    Metric("kl", "1", _S, "KL divergence from the reference policy", (
        "kl_divergence", "objective/kl", "train/kl", "approx_kl", "ppo_kl", "actor/ppo_kl",
        "policy/approxkl_avg", "train/approx_kl", "kl_div", "train/kl_divergence", "critic/kl",
        "actor/kl_loss", "actor/reward_kl_penalty", "train/ppo_kl", "ppo/policy/approxkl", "ppo/mean_kl",
        "losses/approx_kl", "train/policy_kl",
    )),
    Metric("reward_mean", "1", _S, "Mean reward of the batch", (
        "reward", "rewards/mean", "train/reward", "objective/scores", "critic/rewards/mean",
        "rollout/ep_rew_mean", "mean_reward", "avg_reward", "train/reward_mean", "train/rewards",
        "env/reward_mean", "ppo/mean_scores", "critic/score/mean", "objective/rlhf_reward", "ep_rew_mean",
        "episode_reward_mean", "episode_return_mean", "env_runners/episode_return_mean",
        "charts/episodic_return",
    )),
    Metric("reward_std", "1", _S, "Standard deviation of the reward within the batch", (
        "rewards/std", "train/reward_std", "critic/rewards/std", "env/reward_std", "ppo/std_scores",
        "train/rewards/std",
    )),
    Metric("entropy", "1", _S, "Mean entropy of the policy", (
        "policy_entropy", "objective/entropy", "policy/entropy_avg", "train/entropy",
        "actor/entropy_loss", "actor/entropy", "entropy_mean", "ppo/policy/entropy", "losses/entropy",
        "train/approx_entropy",
    )),
    Metric("clip_fraction", "1", _S, "Share of samples clipped by PPO", (
        "clipfrac", "policy/clipfrac_avg", "train/clip_fraction", "actor/pg_clipfrac", "clip_frac",
        "ppo/policy/clipfrac", "losses/clipfrac", "clip_ratio", "clip_ratio/region_mean",
        "train/clip_ratio", "train/clip_ratio/region_mean", "cispo_clip_ratio",
    )),
    Metric("value_loss", "1", _S, "Loss of the value function", (
        "critic/vf_loss", "loss/value_avg", "train/value_loss", "vf_loss", "critic_loss",
        "train/critic_loss", "ppo/loss/value", "losses/value_loss", "critic/loss",
    )),
    Metric("reward_max", "1", _S, "Highest reward of the batch", (
        "critic/rewards/max", "critic/score/max", "rewards/max", "train/reward_max", "episode_reward_max",
        "env_runners/episode_return_max", "max_reward", "train/max_reward",
    )),
    Metric("reward_min", "1", _S, "Lowest reward of the batch", (
        "critic/rewards/min", "critic/score/min", "rewards/min", "train/reward_min", "episode_reward_min",
        "env_runners/episode_return_min", "min_reward", "train/min_reward",
    )),
    Metric("reward_zero_share", "1", _S, "Share of samples whose reward is exactly zero (0 to 1)", (
        "reward_zero_fraction", "zero_reward_fraction", "frac_reward_zero", "rewards/zero_fraction",
        "train/reward_zero_fraction",
    )),
    Metric("reward_zero_std_share", "1", _S, "Share of groups with equal rewards, so without gradient", (
        "frac_reward_zero_std", "train/frac_reward_zero_std",
    )),
    Metric("return_mean", "1", _S, "Mean return of the batch", (
        "train/return", "critic/returns/mean", "returns/mean",
    )),
    Metric("advantage_mean", "1", _S, "Mean advantage of the batch", (
        "critic/advantages/mean", "advantages/mean",
    )),
    Metric("explained_variance", "1", _S, "Share of the returns' variance that the value function explains", (
        "train/explained_variance", "losses/explained_variance", "critic/vf_explained_var",
        "ppo/val/var_explained",
    )),
    Metric("episode_length", "1", _S, "Mean length of finished episodes", (
        "rollout/ep_len_mean", "ep_len_mean", "episode_len_mean", "env_runners/episode_len_mean",
        "charts/episodic_length",
    )),
    Metric("success_rate", "1", _S, "Share of episodes that reach their goal", (
        "rollout/success_rate", "train/success_rate",
    )),
    Metric("response_length", "{token}", _S, "Mean length of generated responses", (
        "response_length/mean", "response_length_mean", "completions/mean_length", "completion_length",
        "train/completions/mean_length", "train/completion_length", "train/response_length",
        "train/mean_gen_tokens_per_sample", "objective/response_length",
    )),
    Metric("truncated_share", "1", _S, "Share of responses cut off at the length limit (0 to 1)", (
        "response_length/clip_ratio", "completions/clipped_ratio", "train/completions/clipped_ratio",
        "train/truncation_rate",
    )),
    Metric("preference_accuracy", "1", _S, "Share of pairs whose chosen answer scores higher", (
        "rewards/accuracies", "train/rewards/accuracies",
    )),
    Metric("preference_margin", "1", _S, "Mean reward of chosen minus rejected answers", (
        "rewards/margins", "train/rewards/margins",
    )),
    Metric("rollout_time", "s", _S, "Part of the step spent generating", (
        "timing_s/gen", "timing/rollout", "timing/train/generation", "train/rollout_time",
    )),
    Metric("update_time", "s", _S, "Part of the step spent updating the policy", (
        "timing_s/update_actor", "timing/update", "timing/train/policy_training",
    )),
)  # fmt: skip
