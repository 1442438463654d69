"""Run by Python at the start of every process below ``trainwarden run --instrument``.

Does nothing but wait for torch's optimizers to be imported, and gives way to a sitecustomize that stands
behind it on the path. Standard library only, and as little of it as can be: it runs in every process.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WAITS_FOR = "torch.optim.optimizer"


class _Finder:
    """Finds what others find; of one module it also learns when it has been loaded."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _WAITS_FOR:
            return None
        try:
            sys.meta_path.remove(self)
            spec = _found(name, path, target)
            if spec is not None:
                _tell_when_loaded(spec.loader)
        except Exception as error:  # noqa: BLE001 - never the trainer's trouble
            _say(error)
            return None
        return spec


def _found(name: str, path: Any, target: Any) -> Any:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path, target)
        if spec is not None:
            return spec
    return None


def _tell_when_loaded(loader: Any) -> None:
    load = loader.exec_module

    def exec_module(module: Any) -> None:
        load(module)
        try:
            from emitter.instrument import torch_steps

            torch_steps.install(module)
        except Exception as error:  # noqa: BLE001 - never the trainer's trouble
            _say(error)

    loader.exec_module = exec_module


def _say(error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    sys.stderr.write(f"trainwarden run --instrument: {sys.executable} is not observed: {reason}\n")


def _let_the_next_one_run() -> None:
    """Ours must not keep another one away; what it raises, Python tells as usual."""
    here = __file__.rpartition("/")[0]
    sys.path[:] = [place for place in sys.path if place.rstrip("/") != here]
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found] # noqa: F401
    except ImportError as error:
        sys.modules["sitecustomize"] = ours
        if error.name != "sitecustomize":
            raise


sys.meta_path.insert(0, _Finder())
_let_the_next_one_run()
