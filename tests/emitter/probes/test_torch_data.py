"""How long the loop waits for torch's DataLoader."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset
from torch.utils.data import dataloader as module

import emitter
from emitter.probes.torch_data import DataWaitProbe
from emitter.testing import capture


class Slow(Dataset[torch.Tensor]):  # type: ignore[misc]  # torch is not followed
    """Each item takes a second of a clock that only it moves."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> torch.Tensor:
        self.now_ns += 10**9
        if index == 99:
            raise KeyError("mine")
        return torch.tensor(index)


class Stream(IterableDataset[int]):  # type: ignore[misc]  # torch is not followed
    """Three numbers."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The class is as torch made it before, whatever other tests left, and after."""
    made = module._BaseDataLoaderIter.__next__
    while hasattr(made, "probe"):
        made = made.before
    monkeypatch.setattr(module._BaseDataLoaderIter, "__next__", made)
    yield
    assert module._BaseDataLoaderIter.__next__ is made


def test_waiting_is_measured(untouched: None) -> None:
    """Batch for batch, what came before the session included; nothing once it is over."""
    dataset = Slow()
    waits: list[int] = []
    loader = DataLoader(dataset, batch_size=2)
    early = iter(loader)
    probe = DataWaitProbe(waits.append, lambda: dataset.now_ns)
    probe.start()
    probe.start()
    assert [len(batch) for batch in early] == [2, 2, 2]
    probe.close()
    list(loader)

    assert waits == [2 * 10**9] * 3


def test_torch_may_come_late(untouched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the trainer has imported the DataLoader nothing is done; asked again later, it is measured."""
    dataset = Slow()
    waits: list[int] = []
    probe = DataWaitProbe(waits.append, lambda: dataset.now_ns)
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, module.__name__)
        probe.start()
        list(DataLoader(dataset))
        patched.setitem(sys.modules, module.__name__, ModuleType(module.__name__))
        probe.start()
    assert waits == []

    probe.start()
    list(DataLoader(dataset))
    probe.close()
    assert len(waits) == 6


def test_a_session_imports_no_torch() -> None:
    """A trainer without torch or a GPU driver gets neither from us."""
    code = (
        "import os, sys, emitter\nemitter.init(resources_s=0.01, endpoint='http://127.0.0.1:1')\n"
        "emitter.step(1, loss=1.0)\nemitter.shutdown()\n"
        "print(sorted({'torch', 'pynvml', 'numpy'} & set(sys.modules)))"
    )
    env = {**os.environ, "LD_LIBRARY_PATH": "/nowhere", "TRAINWARDEN_SHUTDOWN_S": "0.1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_the_loop_sees_what_it_saw(untouched: None) -> None:
    """Batches, types and exceptions are the trainer's own, with workers and without."""
    plain = list(DataLoader(Slow(), batch_size=2)), list(DataLoader(Stream(), batch_size=2))
    kind = type(iter(DataLoader(Slow())))
    with capture():
        measured = list(DataLoader(Slow(), batch_size=2)), list(DataLoader(Stream(), batch_size=2))
        with_workers = list(DataLoader(Slow(), batch_size=2, num_workers=1))
        assert type(iter(DataLoader(Slow()))) is kind
        with pytest.raises(KeyError, match="mine"):
            next(iter(DataLoader(Slow(), sampler=[99])))

    assert str(measured) == str(plain)
    assert str(with_workers) == str(plain[0])


def test_sessions_that_overlap_leave_nothing_behind(untouched: None) -> None:
    """Whichever ends first."""
    probes = [DataWaitProbe(lambda waited: None) for _ in range(3)]
    for probe in probes:
        probe.start()
    for probe in probes:
        probe.close()


def test_a_start_that_comes_while_it_ends_leaves_nothing_behind(untouched: None) -> None:
    """The thread that looks for torch is not waited for at the end."""
    probe = DataWaitProbe(lambda waited: None)
    wrap = probe._wrap

    def late(before: Callable[[Any], Any]) -> Callable[[Any], Any]:
        probe.close()
        return wrap(before)

    probe._wrap = late  # type: ignore[method-assign]
    probe.start()


def test_it_goes_out_as_data_time(untouched: None) -> None:
    """With the step that the batch was for; off when it is off."""
    for on in (True, False):
        with capture(data_wait=on) as captured:
            for step, _ in enumerate(DataLoader(Slow(), batch_size=2)):
                emitter.step(step)
            sent = captured.named("train.step")

        assert len(sent) == 3
        assert all(("data_time" in log.attributes) is on for log in sent)


def test_time_that_is_measured_otherwise_is_not_counted_twice(untouched: None) -> None:
    """Inside `phase("data")` the phase counts; the batches of an evaluation are none of the loop's."""
    dataset = Slow()
    waits: list[int] = []
    with capture(data_wait=False) as captured:

        def waited(nanoseconds: int) -> None:
            waits.append(nanoseconds)
            captured.session.waited(nanoseconds)

        probe = DataWaitProbe(waited, lambda: dataset.now_ns)
        probe.start()
        for step, phases in enumerate((("eval", "data"), ("train",))):
            for phase in phases:
                with emitter.phase(phase):
                    next(iter(DataLoader(dataset)))
            emitter.step(step)
        first, second = captured.named("train.step")
        probe.close()

    assert waits == [10**9] * 3
    assert float(first.attributes["data_time"]) < 0.9
    assert float(second.attributes["data_time"]) == 1.0


def test_prefetching_threads_do_not_count(untouched: None) -> None:
    """What another thread waits for costs the loop nothing."""
    dataset = Slow()
    waits: list[int] = []
    probe = DataWaitProbe(waits.append, lambda: dataset.now_ns)
    probe.start()
    thread = threading.Thread(target=lambda: list(DataLoader(dataset)))
    thread.start()
    thread.join()
    probe.close()

    assert waits == []
    assert dataset.now_ns > 0
