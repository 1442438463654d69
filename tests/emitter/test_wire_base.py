"""What a trainer must install: the base dependencies, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from tests.emitter.receiver import Receiver, attributes
from tests.fixtures import wait_for

ROOT = Path(__file__).parents[2]
MODULES = {"cryptography": "cryptography", "nvidia-ml-py": "pynvml", "psutil": "psutil"}
OF_THESE = {"_cffi_backend", "cffi", "pycparser"}
"""What cryptography brings along."""


def test_base_dependencies_suffice(receiver: Receiver) -> None:
    """Steps, logs, resources and spans arrive from an interpreter that can import nothing else."""
    program = f"""
    import sys, sysconfig
    from importlib.machinery import PathFinder

    allowed = {sorted({*MODULES.values(), *OF_THESE, "emitter"})!r}
    places = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib"))

    class Only:
        def find_spec(self, name, path=None, target=None):
            spec = PathFinder.find_spec(name, path, target)
            origin = getattr(spec, "origin", None) or ""
            if origin.startswith(places) and name.partition(".")[0] not in allowed:
                raise ModuleNotFoundError(f"{{name}} is not in the base", name=name)
            return None

    sys.meta_path.insert(0, Only())
    import logging
    import emitter
    emitter.init("base", endpoint={receiver.url!r}, run_id="base")
    for step in range(10):
        emitter.step(step, loss=0.5)
    with emitter.checkpoint(1, "x"):
        logging.getLogger("t").warning("hello")
    sys.stdin.read()
    emitter.shutdown()
    try:
        import requests
    except ModuleNotFoundError:
        pass
    else:
        raise SystemExit("the finder lets others through")
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        wait_for(lambda: receiver.records("train.resource"), what="a sample")
        _, errors = child.communicate(timeout=120)

    assert (child.returncode, errors) == (0, "hello\n")
    assert [attributes(record)["train.step"] for record in receiver.records("train.step")] == list(range(10))
    assert [span.name for span in receiver.spans()] == ["checkpoint.save"]
    assert receiver.records("train.log")


def test_base_dependencies_are_these() -> None:
    """Three packages are named; a fourth would be a decision."""
    text = (ROOT / "pyproject.toml").read_text()
    named = text.partition("\ndependencies = [")[2].partition("]")[0].split()

    assert sorted(line.strip('",').partition(">=")[0] for line in named) == sorted(MODULES)
