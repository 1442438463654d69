"""``trainwarden commands send | watch | why``, on a real broker."""

from __future__ import annotations

import json
import threading

import pytest

from emitter.signing import TrustedKeys, verify
from emitter.vocabulary import topics
from stream import placements
from tests.cli.shell import Done, Shell
from tests.fixtures import Child, free_port, read_topic
from tests.stream.ledger.records import Case, write

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "words",
    [
        ("commands", "approve", "0123456789"), ("commands", "why", "0123456789"), ("commands", "watch"),
        ("commands", "send", "r", "save", "--attempt", "0"), ("commands", "reset-breaker"),
        ("incidents", "list"), ("silences", "add", "--rule", "x"), ("silences", "list"),
    ],
    ids=lambda words: "-".join(words[:2]),
)  # fmt: skip
def test_a_broker_that_is_away_is_one_sentence(shell: Shell, words: tuple[str, ...]) -> None:
    """Its address and the cure, from every command that needs it."""
    port = free_port()
    at = ("--kafka", f"127.0.0.1:{port}")
    said = shell.fails(3, *words, *at)
    assert said.startswith(f"the broker 127.0.0.1:{port} does not answer (")
    assert said.endswith("; is it running? (--kafka HOST:PORT, TRAINWARDEN_KAFKA, or `trainwarden up`)")


def test_clickhouse_that_is_away_is_one_sentence(shell: Shell) -> None:
    """The same for the history."""
    said = shell.fails(3, "incidents", "list", "--clickhouse", f"http://127.0.0.1:{free_port()}")
    assert said.startswith("ClickHouse: expected an answer from http://127.0.0.1:")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("send", "r", "svae"), 'got "svae"; did you mean "save"?'),
        (("send", "r", "notify"), "notify is done by remediation itself, no trainer obeys it"),
        (("send", "r", "save", "--arg", "x"), '--arg: expected NAME=VALUE, got "x"'),
        (
            ("send", "r", "save", "--ranks", "a"),
            '--ranks: expected numbers with commas, such as 0,2, got "a"',
        ),
        (("send", "r", "save", "--expires", "soon"), '--expires: expected a duration such as "30s", "5m"'),
        (("reject", "0123456789"), "expected --reason TEXT: a rejection says why"),
        (("why", "0123456789"), "neither kafka nor clickhouse is known: give --kafka or --clickhouse"),
    ],
)
def test_wrong_usage(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, before anything is asked for over the network."""
    assert said in shell.fails(2, "commands", *words)


def test_send_waits_for_every_rank(broker: str, shell: Shell) -> None:
    """Signed with the worker's key; exit 0 when all did it, 1 when one failed or is silent."""

    def answered(*states: str) -> tuple[Done, str]:
        case, ended = Case(), list[Done]()
        line = (
            "commands", "send", case.run, "set", "--arg", "name=lr", "--arg", "scale=0.5", "--attempt", "3",
            "--ranks", "0,1", "--kafka", broker, "--timeout", "60" if len(states) == 2 else "5",
        )  # fmt: skip
        thread = threading.Thread(target=lambda: ended.append(shell.run(*line)), daemon=True)
        thread.start()
        (record,) = read_topic(
            broker, topics.REMEDIATION_COMMANDS, len, lambda one: case.run.encode() in one.value, timeout=60
        )
        verify(record.value, dict(record.headers), TrustedKeys(shell.store.files["worker"]))
        data = json.loads(record.value)["data"]
        assert (data["attempt"], data["args"]) == (3, {"name": "lr", "scale": 0.5})
        assert data["target"]["ranks"] == [0, 1]
        case.command_id = data["id"]
        acks = [case.ack(state, rank, step=7) for rank, state in enumerate(states)]
        write(broker, [case.ack("running"), *acks])
        thread.join(120)
        return ended[0], f"command {case.command_id}: set for {case.run}, attempt 3"

    done, head = answered("succeeded", "succeeded")
    ends = ["  rank 0     succeeded at step 7", "  rank 1     succeeded at step 7"]
    assert (done.returncode, done.stdout.splitlines()) == (0, [head, "  rank 0     running", *ends])
    done, _ = answered("succeeded", "failed")
    assert done.returncode == 1
    done, _ = answered("succeeded")
    assert done.returncode == 1
    assert "rank 1 has not said how it ended within 5 s; the command stays valid until " in done.stderr


def test_send_to_nobody(broker: str, shell: Shell) -> None:
    """A run that does not listen: exit 1, and what to look at."""
    said = shell.fails(
        1, "commands", "send", "ghost", "save", "--attempt", "0", "--kafka", broker, "--timeout", "0.5"
    )
    assert said.startswith("nobody has answered within 0.5 s; the command stays valid until ")
    assert said.endswith("does the run still go on, and does it read commands (TRAINWARDEN_COMMANDS)?")
    case = Case()
    placed = {case.run: placements.Placed(case.run, 2, (0, 1), f"name of {case.run}")}
    write(broker, [placements.encode(f"host of {case.run}", placed)])
    said = shell.fails(3, "commands", "send", f"{case.run}x", "save", "--kafka", broker)
    assert said == f'no run has the id or name {case.run}x; did you mean "{case.run}"?'
    done = shell.run("commands", "send", f"name of {case.run}", "save", "--kafka", broker, "--timeout", "0")
    assert done.stdout.endswith(f": save for name of {case.run}, attempt 2\n")


def test_watch_shows_what_comes(broker: str, shell: Shell) -> None:
    """A line each, with what to type for what waits; as JSON too; only of one run where asked."""
    case, other = Case(), Case()
    plain = Child(
        shell.argv("commands", "watch", "--kafka", broker, "--run", case.run), shell.home / "w", shell.env
    )
    lines = Child(shell.argv("commands", "watch", "--kafka", broker, "--json"), shell.home / "j", shell.env)
    plain.wait_until(lambda: "watching" in plain.log(), "the start")

    def told() -> bool:
        write(broker, [*case.held(), *other.held(), case.sent(), case.ack("succeeded", step=95)])
        seen = f"{case.command_id}  rank 0  step 95" in plain.log() and other.run in lines.log()
        return seen and {"decision", "incident", "command", "ack"} <= kinds()

    def kinds() -> set[str]:
        whole = lines.log().rpartition("\n")[0]
        return {json.loads(line)["kind"] for line in whole.splitlines()}

    plain.wait_until(told, "the lines")
    assert (plain.stop(), lines.stop()) == (0, 0)
    assert f"trainwarden commands approve {case.command_id}" in plain.log()
    assert other.run not in plain.log()


def test_why_tells_the_whole_story(broker: str, shell: Shell) -> None:
    """From the topics: what was seen, by which rule and version, decided, said, sent and answered."""
    case, other = Case(), Case()
    seen = [*case.held(), *other.held()]
    said = case.decision("approved", author="ada@lab", reason="go")
    write(broker, [
        *seen, said, case.sent(), case.decision("sent"), case.ack("running", step=94),
        case.ack("succeeded", step=95, duration=0.2), case.decision("succeeded"),
    ])  # fmt: skip
    done = shell.run("commands", "why", case.command_id[:8], "--kafka", broker)
    assert done.returncode == 0, done.stderr
    for words in (
        f"command {case.command_id}", "seen      Loss is NaN, step 91",
        "rule      nan-loss  version v7, critical", "evidence  loss NaN, since_step 90",
        "args      before_step 90, lr_scale 0.5", "rollback, by ada@lab, go", "rank 0, step 95",
    ):  # fmt: skip
        assert words in done.stdout, done.stdout
    assert other.run not in done.stdout
    timeline = done.stdout.partition("timeline")[2]
    order = [timeline.index(word) for word in ("firing", "held", "approved", "succeeded")]
    assert order == sorted(order)
    for identity in (case.command_id, case.incident, case.diagnosis_id):
        story = json.loads(shell.run("commands", "why", identity, "--kafka", broker, "--json").stdout)
        assert [entry["what"] for entry in story["timeline"]][-1] == "succeeded"
        assert {one["id"] for one in story["commands"]} == {case.command_id}
