"""The order of timeouts."""

from __future__ import annotations

import pytest

from stream import resources
from stream.doctor import Verdict, timeouts
from stream.rulelang import RuleSet, load_packs


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_packs([resources.path("rules")])


def test_the_defaults_are_in_order(rules: RuleSet) -> None:
    """Ours, the shipped rules', the supervisor's, and torch's watchdog."""
    (found,) = timeouts.look(rules, {})
    assert (found.verdict, found.said) == (Verdict.ok, "in order: 0.25 s < 30 s < 60 s < 300 s < 480 s")


@pytest.mark.parametrize(
    ("variables", "verdict", "said", "cure"),
    [
        (
            {"TRAINWARDEN_HEARTBEAT_S": "40"}, Verdict.error,
            "silence is noticed after 120 s (`absent.for` of the rule no-heartbeat) must be more than "
            "3 times longer than: a heartbeat comes every 40 s (TRAINWARDEN_HEARTBEAT_S)",
            "raise `absent.for` of the rule no-heartbeat or lower TRAINWARDEN_HEARTBEAT_S",
        ),
        (
            {"TRAINWARDEN_STALL_S": "300"}, Verdict.error,
            "the supervisor ends a hung trainer after 300 s (run --hang-after) must be longer than: "
            "the emitter sends stacks after 300 s (TRAINWARDEN_STALL_S)",
            "raise run --hang-after or lower TRAINWARDEN_STALL_S",
        ),
        (
            {"TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC": "30"}, Verdict.error,
            "NCCL's watchdog ends the process after 30 s (TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC) must be longer "
            "than: the emitter sends stacks after 60 s (TRAINWARDEN_STALL_S)",
            "raise TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC or lower TRAINWARDEN_STALL_S",
        ),
        (
            {"TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC": "200"}, Verdict.warning,
            "NCCL's watchdog ends the process after 200 s (TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC) comes before: "
            "the supervisor ends a hung trainer after 300 s (run --hang-after), so a hang is seen as a "
            "crash, without stacks from outside",
            "raise TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC or lower run --hang-after",
        ),
    ],
)  # fmt: skip
def test_what_is_out_of_order_is_named(
    rules: RuleSet, variables: dict[str, str], verdict: Verdict, said: str, cure: str
) -> None:
    """Both times, where each is set, and which to move."""
    assert (verdict, said, cure) in [
        (one.verdict, one.said, one.cure) for one in timeouts.look(rules, variables)
    ]


def test_a_variable_that_is_no_number(rules: RuleSet) -> None:
    """Is named, and nothing else is judged."""
    (found,) = timeouts.look(rules, {"TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC": "soon"})
    assert (found.verdict, found.said) == (
        Verdict.error, 'TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC: expected seconds, got "soon"',
    )  # fmt: skip
