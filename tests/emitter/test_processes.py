"""How real processes end, and what they leave behind: exit codes, signals, forks, threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary import topics
from tests.emitter import kafka_side
from tests.emitter.receiver import Receiver, attributes
from tests.fixtures import wait_for

HEAD = """
import os, signal, sys, threading, time
import emitter
emitter.init("child", run_id="child", endpoint=os.environ["URL"], resources=False)
"""


def start(tmp_path: Path, receiver: Receiver, body: str, **environ: str) -> subprocess.Popen[str]:
    """A Python process with the emitter running, then this code."""
    script = tmp_path / "child.py"
    script.write_text(HEAD + textwrap.dedent(body))
    env = {**os.environ, "URL": receiver.url, "PYTHONPATH": str(Path.cwd()), **environ}
    return subprocess.Popen(
        [sys.executable, str(script)], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(tmp_path: Path, receiver: Receiver, body: str, **environ: str) -> tuple[int, str]:
    """Exit status and stderr of such a process."""
    with start(tmp_path, receiver, body, **environ) as child:
        try:
            _, errors = child.communicate(timeout=60)
        finally:
            child.kill()
        return child.returncode, errors


def ending(receiver: Receiver) -> dict[str, Any]:
    """The last lifecycle record."""
    found = attributes(receiver.records("train.lifecycle")[-1])
    return {name: found[name] for name in ("lifecycle.state", "exit.code", "exit.signal") if name in found}


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ("emitter.step(1, loss=1.0)", 0, {"lifecycle.state": "finished", "exit.code": 0}),
        ("sys.exit(0)", 0, {"lifecycle.state": "finished", "exit.code": 0}),
        ("sys.exit(3)", 3, {"lifecycle.state": "failed", "exit.code": 3}),
        ("sys.exit('words')", 1, {"lifecycle.state": "failed", "exit.code": 1}),
        ("raise KeyboardInterrupt", 130, {"lifecycle.state": "killed", "exit.signal": 2}),
        (
            """
            try:
                sys.exit(3)
            except SystemExit:
                emitter.step(1, loss=1.0)
            """,
            0,
            {"lifecycle.state": "finished", "exit.code": 0},
        ),
    ],
)
def test_ends_are_told_apart(
    tmp_path: Path, receiver: Receiver, body: str, status: int, expected: dict[str, Any]
) -> None:
    """The lifecycle says how the process ended; the process ends as it would have without us."""
    code, _ = run(tmp_path, receiver, body)

    assert code in (status, -2 if status == 130 else status)
    assert ending(receiver) == expected


def test_uncaught_exception_is_reported_and_still_printed(tmp_path: Path, receiver: Receiver) -> None:
    """failed with type, message and stack trace; a FATAL log record for log rules; Python's own output."""
    code, errors = run(tmp_path, receiver, "raise ValueError('CUDA out of memory')")

    assert code == 1
    assert "ValueError: CUDA out of memory" in errors
    found = attributes(receiver.records("train.lifecycle")[-1])
    assert (found["lifecycle.state"], found["exit.code"]) == ("failed", 1)
    assert (found["exception.type"], found["exception.message"]) == ("ValueError", "CUDA out of memory")
    assert "child.py" in found["exception.stacktrace"]
    (log,) = receiver.records("train.log")
    assert log.severity_number == 21
    assert "ValueError: CUDA out of memory" in log.body.string_value


def test_exception_of_a_thread_is_a_log_record(tmp_path: Path, receiver: Receiver) -> None:
    """The process goes on, so its lifecycle does too."""
    body = """
    def work():
        raise ValueError("in a thread")
    thread = threading.Thread(target=work, name="worker")
    thread.start(); thread.join()
    """
    code, errors = run(tmp_path, receiver, body)

    assert code == 0
    assert "in a thread" in errors
    assert ending(receiver) == {"lifecycle.state": "finished", "exit.code": 0}
    (log,) = receiver.records("train.log")
    assert (log.severity_number, attributes(log)["thread.name"]) == (17, "worker")


def test_hooks_of_the_trainer_are_called_too(tmp_path: Path, receiver: Receiver) -> None:
    """An excepthook that was there before is called after ours."""
    script = tmp_path / "sitecustomize.py"
    script.write_text(
        "import sys\nsys.excepthook = lambda *error: print('mine:', error[1], file=sys.stderr)\n"
    )
    code, errors = run(tmp_path, receiver, "raise ValueError('x')", PYTHONPATH=f"{tmp_path}:{Path.cwd()}")

    assert code == 1
    assert errors.strip().endswith("mine: x")


def test_sigterm_is_reported_and_still_kills(tmp_path: Path, receiver: Receiver) -> None:
    """killed with the signal, then the default behaviour: the exit status shows the signal."""
    with start(tmp_path, receiver, "print('ready', flush=True); time.sleep(60)") as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)

    assert child.returncode == -signal.SIGTERM
    assert ending(receiver) == {"lifecycle.state": "killed", "exit.signal": 15}


def test_handler_of_the_trainer_decides(tmp_path: Path, receiver: Receiver) -> None:
    """A SIGTERM handler set before init runs; the lifecycle still says killed."""
    body = "signal.raise_signal(signal.SIGTERM)\ntime.sleep(60)"
    script = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    (tmp_path / "sitecustomize.py").write_text(script)
    code, _ = run(tmp_path, receiver, body, PYTHONPATH=f"{tmp_path}:{Path.cwd()}")

    assert code == 7
    assert ending(receiver) == {"lifecycle.state": "killed", "exit.signal": 15}


@pytest.mark.parametrize(("action", "status", "state"), [("stop", 0, "finished"), ("restart", 75, "killed")])
def test_commands_end_the_process(
    tmp_path: Path, receiver: Receiver, broker: str, action: str, status: int, state: str
) -> None:
    """stop ends with 0, restart with 75, each acknowledged before the process is gone."""
    run_id = f"{action}-{os.getpid()}-{receiver.port}"
    body = f"""
    emitter.shutdown()
    where = {{"endpoint": os.environ["URL"], "commands": "kafka://{broker}"}}
    emitter.init("child", run_id={run_id!r}, resources=False, **where)
    for step in range(6000):
        emitter.step(step, loss=1.0)
        time.sleep(0.01)
    """
    with start(tmp_path, receiver, body, TRAINWARDEN_SUPERVISOR="1") as child:
        kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run_id, action))
        _, errors = child.communicate(timeout=60)

    assert (child.returncode, errors) == (status, "")
    assert ending(receiver) == {"lifecycle.state": state, "exit.code": status}
    states = [ack.state for ack in kafka_side.acks_until(broker, run_id)]
    assert states == ["received", "scheduled", "running", "succeeded"]


def test_sigkill_shows_as_a_gap_at_most(tmp_path: Path, receiver: Receiver) -> None:
    """After SIGKILL everything older than a flush interval has arrived, in sequence."""
    body = """
    for step in range(6000):
        emitter.step(step, loss=1.0)
        print(step, flush=True)
        time.sleep(0.01)
    """
    with start(tmp_path, receiver, body) as child:
        wait_for(lambda: len(receiver.records("train.step")) > 50, what="steps")
        child.kill()
        child.communicate(timeout=60)

    sequence = [attributes(record)["train.seq"] for record in receiver.records()]
    assert sequence == list(range(len(sequence)))


def test_forked_child_is_inert_until_it_inits(tmp_path: Path, receiver: Receiver) -> None:
    """A fork sends nothing under the parent's identity and ends normally; init in it makes a new emitter."""
    body = """
    emitter.step(1, loss=1.0)
    pid = os.fork()
    if pid == 0:
        emitter.step(2, loss=1.0)
        emitter.shutdown()
        emitter.init("grandchild", run_id="grandchild", endpoint=os.environ["URL"], resources=False)
        emitter.step(3, loss=1.0)
        sys.exit(5)
    _, status = os.waitpid(pid, 0)
    emitter.step(4, code=os.waitstatus_to_exitcode(status))
    """
    code, errors = run(tmp_path, receiver, body)

    assert (code, errors) == (0, "")
    steps = [attributes(record) for record in receiver.records("train.step")]
    assert sorted(found["train.step"] for found in steps) == [1, 3, 4]
    assert [found["code"] for found in steps if "code" in found] == [5]
    states = [attributes(record)["lifecycle.state"] for record in receiver.records("train.lifecycle")]
    assert sorted(states) == ["failed", "finished", "started", "started"]


def test_forked_child_dies_by_sigterm_at_once(tmp_path: Path, receiver: Receiver) -> None:
    """Pools end workers with SIGTERM: our handler is gone in a child, however early the signal comes."""
    body = """
    statuses = []
    for _ in range(200):
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(1)
        os.kill(pid, signal.SIGTERM)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    emitter.step(1, other=sum(status != -15 for status in statuses))
    """
    code, errors = run(tmp_path, receiver, body)

    assert (code, errors) == (0, "")
    assert attributes(receiver.records("train.step")[0])["other"] == 0
    assert len(receiver.records("train.lifecycle")) == 2


def test_logging_of_the_trainer_works_as_without_us(tmp_path: Path, receiver: Receiver) -> None:
    """An unconfigured logger still prints its warnings, and basicConfig still configures."""
    body = """
    import logging
    logging.getLogger("a").warning("first")
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("b").info("second")
    """
    _, errors = run(tmp_path, receiver, body)

    assert errors.splitlines() == ["first", "INFO:b:second"]
    assert [record.body.string_value for record in receiver.records("train.log")] == ["first", "second"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader_workers(tmp_path: Path, receiver: Receiver, method: str) -> None:
    """torch DataLoader workers, forked or spawned, work while the emitter runs; the epoch arrives whole."""
    script = tmp_path / "trainer.py"
    script.write_text(
        textwrap.dedent(
            """
            import logging, os, sys
            import torch
            import emitter

            class Numbers(torch.utils.data.Dataset):
                def __len__(self):
                    return 64
                def __getitem__(self, index):
                    logging.getLogger("worker").warning("item %d", index)
                    emitter.step(-1, loss=0.0)
                    return torch.tensor(float(index))

            if __name__ == "__main__":
                emitter.init("loader", run_id="loader", endpoint=os.environ["URL"])
                loader = torch.utils.data.DataLoader(
                    Numbers(), batch_size=8, num_workers=2, multiprocessing_context=sys.argv[1])
                for step, batch in enumerate(loader):
                    emitter.step(step, total=batch.sum())
            """
        )
    )
    env = {**os.environ, "URL": receiver.url, "PYTHONPATH": str(Path.cwd())}
    subprocess.run(
        [sys.executable, str(script), method], env=env, check=True, timeout=120, capture_output=True
    )

    steps = [attributes(record) for record in receiver.records("train.step")]
    assert [found["train.step"] for found in steps] == list(range(8))
    assert sum(found["total"] for found in steps) == sum(range(64))
    assert len(receiver.records("train.lifecycle")) == 2


def test_seeded_randomness_is_not_touched(tmp_path: Path, receiver: Receiver, broker: str) -> None:
    """Exporters and Kafka clients draw random numbers; not out of the trainer's global state."""
    body = f"""
    import random
    emitter.shutdown()
    random.seed(7)
    state = random.getstate()
    emitter.init("child", run_id="seeded", endpoint=os.environ["URL"], commands="kafka://{broker}")
    for step in range(50):
        emitter.step(step, loss=1.0)
        time.sleep(0.01)
    emitter.shutdown()
    sys.exit(0 if random.getstate() == state else 9)
    """
    code, errors = run(tmp_path, receiver, body)

    assert (code, errors) == (0, "")


def test_file_of_the_user_that_shadows_a_common_name(tmp_path: Path, receiver: Receiver) -> None:
    """A vocabulary.py or events.py beside the trainer is not ours to import."""
    for name in ("vocabulary", "events", "topics", "probes", "settings"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('shadowed')\n")
    code, errors = run(tmp_path, receiver, "emitter.step(1, loss=1.0)")

    assert (code, errors) == (0, "")
    assert len(receiver.records("train.step")) == 1
