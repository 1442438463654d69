"""Which GPUs a process speaks for."""

from __future__ import annotations

import pytest

from emitter.probes.gpu_choice import Choice, choose

NODE = ["GPU-a1", "GPU-b2", "GPU-c3", "GPU-d4", "MIG-e5"]


def picked(mode: str, environ: dict[str, str], local_rank: int = 0, world_size: int = 1) -> list[str] | None:
    choice = choose(mode, local_rank=local_rank, world_size=world_size, environ=environ)
    return None if choice is None else choice.pick(NODE)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, NODE),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2", ["GPU-c3"]),
        ("3,1", ["GPU-d4", "GPU-b2"]),
        ("1,-1,2", ["GPU-b2"]),
        ("GPU-c", ["GPU-c3"]),
        ("GPU-c3, GPU-a1", ["GPU-c3", "GPU-a1"]),
        ("MIG-e5", ["MIG-e5"]),
        ("9", []),
    ],
)
def test_a_process_alone_speaks_for_what_cuda_shows_it(visible: str | None, expected: list[str]) -> None:
    """CUDA_VISIBLE_DEVICES as CUDA reads it: numbers, UUIDs, beginnings of them, up to the first bad one."""
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}

    assert picked("node", environ) == expected


def test_one_rank_speaks_for_its_node() -> None:
    """The first rank speaks for all of the list, or for the node where it was shown one GPU only."""
    assert picked("node", {"CUDA_VISIBLE_DEVICES": "0,1"}, 0, 2) == ["GPU-a1", "GPU-b2"]
    assert picked("node", {"CUDA_VISIBLE_DEVICES": "2"}, 0, 4) == NODE
    assert picked("node", {"CUDA_VISIBLE_DEVICES": "0,1"}, 1, 2) is None


def test_each_rank_speaks_for_its_own() -> None:
    """The local rank picks from the list; a list of one is it."""
    assert picked("own", {"CUDA_VISIBLE_DEVICES": "3,1"}, 1, 2) == ["GPU-b2"]
    assert picked("own", {"CUDA_VISIBLE_DEVICES": "GPU-d4"}, 3, 4) == ["GPU-d4"]
    assert picked("own", {}, 2, 4) == ["GPU-c3"]
    assert picked("own", {"CUDA_VISIBLE_DEVICES": "0,1"}, 5, 8) == []


def test_off_is_off() -> None:
    """No choice at all."""
    assert picked("off", {}) is None


def test_no_choice_is_everything() -> None:
    """The default takes what is there."""
    assert Choice().pick(NODE) == NODE
