"""What `import emitter` gives, and what it costs."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys

import emitter
from emitter import _api
from emitter._settings import Settings

NAMES = [
    "Command", "Restart", "SettingError", "Stop", "checkpoint", "eval", "event", "init", "log", "lr_scale",
    "on", "phase", "resume_path", "shutdown", "step", "tune", "watch",
]  # fmt: skip

PROBE = """
import sys
before = set(sys.modules)
import emitter
count = len(sys.modules)
emitter.step(1, loss=1.0)
with emitter.phase("eval"):
    emitter.log("nobody listens")
with emitter.checkpoint(1, "here"):
    pass
emitter.shutdown()
new = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
import json, sysconfig
places = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
third = sorted(name for name, file in new.items() if (file or "").startswith(places))
print(json.dumps({"count": count, "third": third}))
"""


def test_all_names_exist_and_are_sorted() -> None:
    """`__all__` is the sorted list of public names, each of which is there."""
    assert emitter.__all__ == NAMES
    assert [name for name in NAMES if not hasattr(emitter, name)] == []


def test_unknown_name_is_an_attribute_error() -> None:
    """The lazy types do not hide typos."""
    assert not hasattr(emitter, "strp")


def test_import_is_light() -> None:
    """A clean interpreter has fewer than 80 modules after the import, and no third-party one after calls."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)

    assert found["third"] == []
    assert found["count"] < 80


def test_init_takes_every_setting() -> None:
    """The signature of init and the table of settings are the same list."""
    parameters = list(inspect.signature(_api.init).parameters)

    assert parameters == [field.name for field in dataclasses.fields(Settings)]
