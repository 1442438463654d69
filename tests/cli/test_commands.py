"""``trainwarden commands`` and its neighbours, as processes, on a real broker."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from emitter.signing import TrustedKeys, verify
from emitter.vocabulary import topics
from emitter.vocabulary.control import Control
from stream import placements
from stream.cli import main
from stream.keys import OPERATOR, KeyStore
from stream.ledger.topics import Feed
from tests.dashboards.rig import new_history
from tests.fixtures import Child, free_port, read_topic
from tests.stream.ledger.keeping import keep
from tests.stream.ledger.records import Case, awrite, write
from tests.stream.notify.far_end import Reply, serving

pytestmark = pytest.mark.slow


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """The command line of somebody with keys of their own, and no stack."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = KeyStore(home / "config" / "trainwarden")
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TRAINWARDEN_")},
            "XDG_CONFIG_HOME": str(home / "config"), "TRAINWARDEN_DATA_DIR": str(home / "data"),
            "USER": "ada", "LOGNAME": "ada", "COLUMNS": "200",
        }  # fmt: skip

    def keys(self) -> Shell:
        self.store.new("worker")
        self.store.new("ada", OPERATOR)
        return self

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "stream.cli", *words]

    def run(self, *words: str) -> Done:
        """In this process: to import it all takes longer than most of what is tested here."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        line = ["trainwarden", *words]
        with (
            mock.patch.dict(os.environ, self.env, clear=True), mock.patch.object(sys, "argv", line),
            redirect_stdout(out), redirect_stderr(err),
        ):  # fmt: skip
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    def fails(self, code: int, *words: str) -> str:
        """What it says on stderr; one line, never a traceback."""
        done = self.run(*words)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        (line,) = done.stderr.strip().splitlines()
        return line.removeprefix("trainwarden: ")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path).keys()


@contextmanager
def _arbiter(kafka: str, case: Case, decision: str, **more: Any) -> Iterator[list[Control]]:
    """Stands for the arbiter: answers the first word about the case, and keeps it."""
    heard: list[Control] = []
    ready = threading.Event()

    async def listen() -> None:
        async with Feed(kafka, (topics.REMEDIATION_CONTROL,), past=False) as feed:
            ready.set()

            def seen(kind: str, data: dict[str, Any]) -> None:
                if kind == "word" and data.get("command") in (case.command_id, None):
                    heard.append(Control(**{**data, "silence": None}))

            while not heard:
                await feed.more(seen)
        await awrite(kafka, [case.decision(decision, author=heard[0].author, **more)])

    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    assert ready.wait(60)
    yield heard
    thread.join(60)


def test_approve_signs_and_tells_what_was_decided(broker: str, shell: Shell) -> None:
    """The word on the topic has the operator's signature, the author and the id; the answer is printed."""
    case = Case()
    write(broker, case.held())
    with _arbiter(broker, case, "approved") as heard:
        done = shell.run(
            "commands", "approve", case.command_id[:10], "--kafka", broker, "--reason", "looks right"
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"approved: rollback {case.command_id} goes out to {case.run}\n"
    assert (heard[0].kind, heard[0].command, heard[0].reason) == ("approve", case.command_id, "looks right")
    assert heard[0].author.startswith("ada@")
    (record,) = read_topic(
        broker, topics.REMEDIATION_CONTROL, len, lambda one: case.command_id.encode() in one.value
    )
    key = verify(record.value, dict(record.headers), TrustedKeys(shell.store.files[OPERATOR]))
    assert key == shell.store.newest(OPERATOR).public.id


def test_reject_and_its_json(broker: str, shell: Shell) -> None:
    """With --json, what was said and what was decided."""
    case = Case()
    write(broker, case.held())
    with _arbiter(broker, case, "rejected", reason="too risky"):
        done = shell.run(
            "commands", "reject", case.command_id, "--kafka", broker, "--reason", "too risky", "--json"
        )
    found = json.loads(done.stdout)
    assert (done.returncode, found["said"]["kind"], found["answer"]["decision"]) == (0, "reject", "rejected")


def test_a_refusal_has_its_cure_and_exit_code_1(broker: str, shell: Shell) -> None:
    """What the arbiter does not believe."""
    case = Case()
    write(broker, case.held())
    heard: list[Control]
    reason = "unknown_key: expected a key that is trusted here"
    with _refusing(broker, case, reason) as heard:
        done = shell.run("commands", "approve", case.command_id, "--kafka", broker)
    assert heard
    assert done.returncode == 1
    assert done.stdout.startswith(
        f"refused: {reason}; add your operator's public key (`trainwarden keys list`)"
    )


@contextmanager
def _refusing(kafka: str, case: Case, reason: str) -> Iterator[list[Control]]:
    class Refusing(Case):
        def decision(self, decision: str, **more: Any) -> Any:
            word = heard[0]
            return case.decision("refused", id=f"control/{word.id}/refused", reason=reason)

    refusing = Refusing(case.run)
    refusing.command_id = case.command_id
    heard: list[Control] = []
    with _arbiter(kafka, refusing, "refused") as listened:
        heard_from = listened
        heard = heard_from
        yield heard


def test_nobody_decides(broker: str, shell: Shell) -> None:
    """Without a worker: exit 3, and what becomes of the word."""
    case = Case()
    write(broker, case.held())
    said = shell.fails(3, "commands", "approve", case.command_id, "--kafka", broker, "--wait", "0.5")
    assert said.startswith(
        "no worker decided within 0.5 s; the word is written down and counts once a loop worker"
    )
    assert shell.run("commands", "approve", case.command_id, "--kafka", broker, "--wait", "0").returncode == 0


@pytest.mark.parametrize(
    ("decision", "more", "words"),
    [
        ("succeeded", {}, "already ended at {time}: succeeded"),
        ("failed", {"reason": "rank 0: rejected"}, "already ended at {time}: failed (rank 0: rejected)"),
        ("withdrawn", {"reason": "the run ended"}, "already ended at {time}: withdrawn (the run ended)"),
        ("expired", {"reason": "no rank did it"}, "expired at {time} (no rank did it)"),
        ("sent", {}, "was sent at {time}"),
        ("approved", {"author": "bo@x"}, "was approved by bo@x at {time}"),
    ],
)  # fmt: skip
def test_what_does_not_wait_for_approval(
    broker: str, shell: Shell, decision: str, more: dict[str, Any], words: str
) -> None:
    """One sentence: what became of it, and where to read on."""
    case = Case()
    end = case.decision(decision, **more)
    write(broker, [*case.held(), end])
    time = json.loads(end.value)["data"]["time"]
    said = shell.fails(3, "commands", "approve", case.command_id, "--kafka", broker)
    expected = (
        f"command {case.command_id} {words.format(time=time)}; `trainwarden commands why {case.command_id}`"
    )
    assert said == f"{expected} tells all of it"


def test_unknown_ids_name_the_nearest(broker: str, shell: Shell) -> None:
    """A typo in the middle, a beginning that is too short, one that fits two."""
    case, twin = Case(), Case()
    twin.command_id = case.command_id[:-4] + ("0000" if case.command_id[-4:] != "0000" else "1111")
    twin.command = case.command.__class__(**{**vars(twin.command), "id": twin.command_id})
    write(broker, [*case.held(), *twin.held()])
    wrong = case.command_id[:10] + "xx" + case.command_id[12:]
    for verb in (("approve",), ("reject", "--reason", "no")):
        said = shell.fails(3, "commands", verb[0], wrong, "--kafka", broker, *verb[1:])
        assert said.startswith(f"no command has the id {wrong}; did you mean ")
        assert case.command_id in said
    said = shell.fails(3, "commands", "why", "nothing-like-it", "--kafka", broker)
    assert said == (
        "no command, incident or diagnosis has the id nothing-like-it; `trainwarden incidents list` and"
        " `trainwarden commands watch` show those that are known"
    )
    said = shell.fails(3, "commands", "approve", case.command_id[:12], "--kafka", broker)
    assert said.startswith(f"{case.command_id[:12]} is how 2 ids begin: ")
    assert said.endswith("give more of it")


def test_without_a_key_it_says_how_to_make_one(broker: str, tmp_path: Path) -> None:
    """Of an operator for words, of a worker for commands; and a named file that is not there."""
    case, bare = Case(), Shell(tmp_path)
    write(broker, case.held())
    said = bare.fails(3, "commands", "approve", case.command_id, "--kafka", broker)
    assert "no operator's key; make one with `trainwarden keys new" in said
    said = bare.fails(3, "commands", "send", case.run, "save", "--attempt", "0", "--kafka", broker)
    assert "no worker's key; make one with `trainwarden keys new`" in said
    said = bare.fails(3, "commands", "reset-breaker", "--kafka", broker, "--key", "/nowhere.pem")
    assert said == "/nowhere.pem: cannot be read: No such file or directory"


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


def test_incidents_from_the_topics(broker: str, shell: Shell) -> None:
    """The list (exit 1 while one is open) and one in full, as tables and as JSON."""
    case = Case()
    write(broker, case.held())
    done = shell.run("incidents", "list", "--kafka", broker, "--run", case.run)
    assert done.returncode == 1
    assert "nan-loss: Loss is NaN" in done.stdout
    assert "rollback held" in done.stdout
    write(broker, [case.changed("resolved", 2, ended="2026-01-01T00:00:00.000000Z", outcome="resolved")])
    done = shell.run("incidents", "list", "--kafka", broker, "--run", case.run, "--json")
    assert (done.returncode, [one["state"] for one in json.loads(done.stdout)]) == (0, ["resolved"])
    assert (
        shell.run("incidents", "list", "--kafka", broker, "--run", case.run, "--state", "open").stdout == ""
    )
    page = shell.run("incidents", "show", case.incident[:8], "--kafka", broker).stdout
    for words in (
        "state     resolved: resolved",
        "cost      12 steps, 3.5 s, 28 GPU seconds",
        "cause     nan-loss",
    ):
        assert words in page
    said = shell.fails(3, "incidents", "show", "0" * 32, "--kafka", broker)
    assert said.startswith("no incident has the id 000000")


def test_silences(broker: str, shell: Shell) -> None:
    """Added by a signed word with an end; listed while it holds."""
    case = Case()
    said = shell.fails(2, "silences", "add", "--kafka", broker)
    assert said == "expected --run or --rule: a silence of everything is `--rule '*'`"
    done = shell.run(
        "silences", "add", "--run", case.run, "--for", "2h", "--comment", "known", "--kafka", broker,
        "--wait", "0", "--json",
    )  # fmt: skip
    quiet = json.loads(done.stdout)["said"]["silence"]
    assert (quiet["run"], quiet["comment"]) == (case.run, "known")
    write(
        broker,
        [
            case.decision(
                "silence_began", id=f"control/{case.run}", author="ada@lab", detail={"silence": quiet}
            )
        ],
    )
    listed = shell.run("silences", "list", "--kafka", broker).stdout
    assert f"{quiet['id']}  until {quiet['ends']}  run {case.run}  by ada@lab  known" in listed
    write(broker, [case.decision("silence_ended", id=f"control/{case.run}/2", detail={"silence": quiet})])
    assert quiet["id"] not in shell.run("silences", "list", "--kafka", broker).stdout


def test_the_ledger_from_clickhouse(clickhouse_url: str, shell: Shell) -> None:
    """The same answers from the history: the story, the incidents, and what waits."""
    history, case = new_history(clickhouse_url), Case()
    keep(history, [*case.held(), Case().diagnosis()])
    at = ("--clickhouse", history)
    done = shell.run("commands", "why", case.command_id[:8], *at)
    assert done.returncode == 0, done.stderr
    for words in ("args      before_step 90, lr_scale 0.5", "rule      nan-loss  version v7", "held"):
        assert words in done.stdout
    story = json.loads(shell.run("commands", "why", case.diagnosis_id, *at, "--json").stdout)
    assert [entry["what"] for entry in story["timeline"]] == ["firing", "opened", "held"]
    assert story["diagnoses"][0]["evidence"] == {"loss": "NaN", "since_step": 90}
    done = shell.run("incidents", "list", *at, "--state", "open")
    assert (done.returncode, case.incident[:12] in done.stdout) == (1, True)
    assert (
        "cost      12 steps, 3.5 s, 28 GPU seconds"
        in shell.run("incidents", "show", case.incident, *at).stdout
    )
    said = shell.fails(3, "commands", "why", case.command_id[:5] + "zz" + case.command_id[7:], *at)
    assert said.endswith(f"did you mean {case.command_id}?")
    said = shell.fails(2, "commands", "approve", case.command_id, *at)
    assert said.startswith("no kafka is known: give --kafka, set TRAINWARDEN_KAFKA")


def test_web_hooks_are_checked_and_tried(shell: Shell) -> None:
    """``check`` names them, ``test`` sends one message each; a worker does not start with a wrong file."""
    path = shell.home / "hooks.yaml"
    with serving() as fine, serving(Reply(403, b"action_prohibited")) as bad:
        path.write_text(
            f"hooks:\n  - {{name: ops, kind: slack, url: '{fine.url}'}}\n"
            f"  - {{name: bot, kind: json, url: '{bad.url}', limit: 5/1h}}\n"
        )
        done = shell.run("notify", "check", str(path))
        assert "bot: json to 127.0.0.1:" in done.stdout
        assert "; notified, held, breaker; at most 5 in 3600 s" in done.stdout
        done = shell.run("notify", "test", str(path))
        assert (done.returncode, done.stdout) == (3, "ops: taken\nbot: it answered 403 (action_prohibited)\n")
        assert "tries the hook ops" in fine.requests[0].json["text"]
    assert shell.fails(2, "notify", "test", str(path), "--hook", "x") == f'{path}: no hook has the name "x"'
    path.write_text("hooks:\n  - name: ops\n    kind: slack\n    url: ${NO_SUCH_SECRET}\n")
    expected = f"{path}:4:10: expected the environment variable NO_SUCH_SECRET to be set, it is not"
    assert shell.fails(3, "notify", "check", str(path)) == expected
    worker = ("worker", "--kafka", "127.0.0.1:1", "--notify", str(path), "--data-dir", str(shell.home))
    assert shell.fails(3, *worker) == expected
