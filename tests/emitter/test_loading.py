"""Imports in background threads, and forks."""

from __future__ import annotations

from pathlib import Path

from tests.emitter.receiver import Receiver
from tests.emitter.test_processes import run


def test_a_fork_waits_for_an_import_of_ours(tmp_path: Path, receiver: Receiver) -> None:
    """A child never finds a module half made by a thread that it does not have."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.5)\ndone = True\n")
    body = """
    from emitter._loading import loading
    sys.path.insert(0, os.path.dirname(__file__))
    begun = threading.Event()
    def load():
        with loading:
            begun.set()
            import slow
    threading.Thread(target=load).start()
    begun.wait()
    pid = os.fork()
    if pid == 0:
        import slow
        os._exit(7 if slow.done and not loading.locked() else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7, status
    assert not loading.locked()
    """
    assert run(tmp_path, receiver, body) == (0, "")
