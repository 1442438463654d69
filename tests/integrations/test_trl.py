"""TRL's trainers with the same callback: rewards, KL and entropy under the names that rules know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer

from emitter.integrations.huggingface import TrainwardenCallback
from emitter.testing import Captured
from emitter.vocabulary.metrics import canonical_values
from tests.integrations import tiny

WORDS = ["<eos>", "<pad>", "<unk>", *(f"w{number}" for number in range(tiny.WORDS - 3))]
COMMON: dict[str, Any] = {
    "logging_steps": 1, "save_strategy": "no", "report_to": "none", "disable_tqdm": True, "use_cpu": True,
    "seed": 0, "max_steps": 2, "dataloader_pin_memory": False, "bf16": False,
    "gradient_checkpointing": False, "learning_rate": 1e-3,
}  # fmt: skip


def tokenizer() -> Any:
    """One token a word; made here, so nothing is fetched."""
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )


def steps(captured: Captured) -> list[dict[str, object]]:
    """The steps as rules see them."""
    return [canonical_values(log.attributes) for log in captured.named("train.step")]


def test_grpo_reports_rewards_kl_and_entropy(captured: Captured, tmp_path: Path) -> None:
    """One event an optimizer step, with reward, its spread, KL, entropy and the length of completions."""

    def reward(completions: list[str], **kwargs: Any) -> list[float]:
        return [float(len(set(text.split()))) for text in completions]

    # TRL loads the reference policy of a KL term from where the model came.
    tiny.model().save_pretrained(tmp_path / "model")
    trainer = GRPOTrainer(
        model=str(tmp_path / "model"), reward_funcs=reward, processing_class=tokenizer(),
        args=GRPOConfig(
            output_dir=str(tmp_path), per_device_train_batch_size=4, num_generations=2,
            max_completion_length=4, beta=0.1, **COMMON,
        ),
        train_dataset=Dataset.from_dict({"prompt": ["w1 w2", "w3 w4", "w5 w6", "w7 w8"]}),
        callbacks=[TrainwardenCallback()],
    )  # fmt: skip
    trainer.train()

    found = steps(captured)
    assert [values["train.step"] for values in found] == [1, 2]
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    for values, entry in zip(found, logged, strict=True):
        assert values["loss"] == entry["loss"]
        assert values["reward_mean"] == entry["reward"]
        assert values["reward_std"] == entry["reward_std"]
        assert values["kl"] == entry["kl"]
        assert values["entropy"] == entry["entropy"]
        assert values["response_length"] == entry["completions/mean_length"]
        assert values["reward_zero_std_share"] == entry["frac_reward_zero_std"]
        assert values["clip_fraction"] == entry["clip_ratio/region_mean"]


def test_dpo_reports_preferences(captured: Captured, tmp_path: Path) -> None:
    """Margins and accuracies of pairs; evaluations of TRL carry more than the Trainer's own."""
    rows = {
        "prompt": ["w1 w2", "w3 w4"] * 2, "chosen": ["w5", "w6"] * 2, "rejected": ["w7 w8", "w9"] * 2,
    }  # fmt: skip
    trainer = DPOTrainer(
        model=tiny.model(), ref_model=tiny.model(), processing_class=tokenizer(),
        args=DPOConfig(
            output_dir=str(tmp_path), per_device_train_batch_size=2, eval_strategy="steps", eval_steps=2,
            **COMMON,
        ),
        train_dataset=Dataset.from_dict(rows), eval_dataset=Dataset.from_dict(rows),
        callbacks=[TrainwardenCallback()],
    )  # fmt: skip
    trainer.train()

    found = steps(captured)
    assert [values["train.step"] for values in found] == [1, 2]
    assert all({"preference_margin", "preference_accuracy", "entropy"} <= set(values) for values in found)
    (evaluation,) = captured.named("train.eval")
    assert {"eval_loss", "eval_rewards/margins", "eval_runtime"} <= set(evaluation.attributes)
