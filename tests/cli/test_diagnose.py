"""`trainwarden diagnose` as a user meets it: what is printed where, exit codes, and data that is broken."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stream import cli
from stream.cli.options import ERROR, FOUND, USAGE
from tests.stream.offline.packs import PACK, write_pack

KEYS = {
    "id", "rule", "category", "severity", "state", "run", "attempt", "rank", "node", "step", "time", "epoch",
    "role", "file", "line", "rule_version", "summary", "evidence", "suggestions", "then",
}  # fmt: skip
BAD_STEPS = '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": "NaN"}\n{"step": 3, "loss": 2.0}\n'
GOOD_STEPS = b"".join(
    b'{"step": %d, "loss": %d.25}\n' % (step, step * 7919 % 1000) for step in range(4, 9999)
)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """The small pack of these tests, outside the folder with data."""
    folder = tmp_path / "rules"
    folder.mkdir()
    return write_pack(folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder for recorded data."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def diagnose(pack: Path, *arguments: object, stdin: bytes | None = None) -> Result:
    """Run the command with the small pack."""
    words = ["diagnose", "--rules", str(pack), *map(str, arguments)]
    return CliRunner().invoke(cli.app, words, input=stdin, env={"COLUMNS": "80", "NO_COLOR": "1"})


def found(result: Result) -> list[dict[str, Any]]:
    """The JSON lines on stdout."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_finding_is_one_json_line_with_all_keys(pack: Path, data: Path) -> None:
    """Printed when it starts to fire; what is unknown is null; exit code 1."""
    (data / "my-run.jsonl").write_text(BAD_STEPS)

    result = diagnose(pack, data / "my-run.jsonl", "--json")

    (one,) = found(result)
    assert result.exit_code == FOUND
    assert set(one) == KEYS
    assert (one["rule"], one["run"], one["rank"], one["step"]) == ("not-finite", "my-run", 0, 2)
    assert (one["state"], one["time"], one["attempt"]) == ("firing", None, 0)
    assert one["evidence"] == {"loss": "NaN", "since_step": 2}
    assert one["then"] == ["save", "rollback"]


def test_all_states_adds_how_it_ended(pack: Path, data: Path) -> None:
    """The same diagnosis, resolved."""
    (data / "a.jsonl").write_text(BAD_STEPS)

    result = diagnose(pack, data / "a.jsonl", "--json", "--all-states")

    assert [(one["state"], one["step"]) for one in found(result)] == [("firing", 2), ("resolved", 3)]


def test_nothing_found_is_exit_code_0(pack: Path, data: Path) -> None:
    """Also where only something of severity info was found."""
    (data / "quiet.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    (data / "good.jsonl").write_text('{"step": 1, "loss": 0.01}\n')

    quiet, good = (diagnose(pack, data / f"{name}.jsonl", "--json") for name in ("quiet", "good"))

    assert (quiet.exit_code, quiet.stdout) == (0, "")
    assert (good.exit_code, [one["severity"] for one in found(good)]) == (0, ["info"])


def test_log_findings_carry_file_and_line(pack: Path, data: Path) -> None:
    """Lines are split on newline only and count from 1; benign look-alikes are left alone."""
    path = data / "train.log"
    path.write_text(
        "start\rwith a bar\nCUDA out of memory, caught and retried\nCUDA out of memory\n\nGPU 3 is full\n"
    )

    first, *rest = found(diagnose(pack, path, "--json"))

    assert (first["rule"], first["file"], first["line"], first["step"]) == ("oom", str(path), 3, None)
    assert rest == []


def test_lines_far_apart_are_findings_of_their_own(pack: Path, data: Path) -> None:
    """With times, `keep_firing` decides; without, twenty lines."""
    lines = ["CUDA out of memory", *["."] * 5, "CUDA out of memory", *["."] * 30, "CUDA out of memory"]
    (data / "plain.log").write_text("".join(f"{line}\n" for line in lines))
    (data / "timed.log").write_text(
        "".join(f"2024-05-01 10:{minute}:00 CUDA out of memory\n" for minute in (10, 11, 13))
    )

    plain = found(diagnose(pack, data / "plain.log", "--json"))
    timed = found(diagnose(pack, data / "timed.log", "--json"))

    assert [one["line"] for one in plain] == [1, 38]
    assert [(one["line"], one["time"]) for one in timed] == [
        (1, "2024-05-01T10:10:00.000000Z"), (3, "2024-05-01T10:13:00.000000Z"),
    ]  # fmt: skip


def test_numbers_in_a_log_fire_with_their_line(pack: Path, data: Path) -> None:
    """A text log's steps are judged, and its lines too."""
    path = data / "train.log"
    path.write_text("hello\niter 10: loss 2.5, time 20ms\niter 11: loss nan, time 20ms\nCUDA out of memory\n")

    lines = [(one["rule"], one["step"], one["line"]) for one in found(diagnose(pack, path, "--json"))]

    assert lines == [("not-finite", 11, 3), ("oom", None, 4)]


def test_without_times_durations_are_skipped_and_named(pack: Path, data: Path) -> None:
    """`for: 30s` is not waited for, a window over time cannot be judged; stderr says so."""
    (data / "a.jsonl").write_text('{"step": 1, "step_time": 20.0}\n')

    result = diagnose(pack, data / "a.jsonl", "--json")

    assert [one["rule"] for one in found(result)] == ["slow-for-long"]
    told = "no times in the data: skipped `for` of slow-for-long; left out slow-lately, rising"
    assert told in result.stderr


def test_with_times_durations_are_waited_for(pack: Path, data: Path) -> None:
    """Unix seconds and RFC 3339 alike."""
    for name, first in (("unix", 1_714_557_600), ("text", "2024-05-01T10:00:")):
        times = [first + 10 * i if isinstance(first, int) else f"{first}{10 * i:02d}Z" for i in range(5)]
        records = [{"step": i, "step_time": 20.0, "time": time} for i, time in enumerate(times)]
        (data / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

        result = diagnose(pack, data / f"{name}.jsonl", "--json")

        assert [(one["step"], one["time"]) for one in found(result)] == [(3, "2024-05-01T10:00:30.000000Z")]
        assert "no times" not in result.stderr


def test_rules_that_slept_are_named(pack: Path, data: Path) -> None:
    """By the field that never came, with the nearest logged name, and by event; once for all files."""
    for name in ("a", "b"):
        (data / f"{name}.jsonl").write_text('{"step": 1, "loss": 2.0, "grad_nrom": 3.0}\n')

    error = diagnose(pack, data, "--json").stderr

    assert (
        'asleep, fields that never came: grad_norm (near "grad_nrom") for jump; '
        "mine for rising; step_time for slow-for-long, slow-lately\n"
    ) in error
    assert "asleep, events that never came: train.eval for 1 rule, train.log for 1 rule\n" in error


def test_stdin_is_read_as_it_comes(pack: Path) -> None:
    """`-` is stdin, compressed or not; the run is called stdin."""
    for data in (BAD_STEPS.encode(), gzip.compress(BAD_STEPS.encode())):
        (one,) = found(diagnose(pack, "-", "--json", stdin=data))

        assert (one["run"], one["step"]) == ("stdin", 2)


def test_params_are_overridden_on_the_command_line(pack: Path, data: Path) -> None:
    """A param that does not exist, or is no number, is wrong usage or an error with a guess."""
    path = data / "a.jsonl"
    path.write_text("".join(f'{{"step": {i}, "grad_norm": {1 if i < 10 else 5}}}\n' for i in range(15)))

    assert found(diagnose(pack, path, "--json")) == []
    assert [one["step"] for one in found(diagnose(pack, path, "--json", "--params", "jump.limit=3"))] == [11]
    wrong, unknown = (diagnose(pack, path, "--params", f"jump.{text}") for text in ("limit=x", "limt=3"))
    assert (wrong.exit_code, unknown.exit_code) == (USAGE, ERROR)
    assert 'expected rule.param=number, got "jump.limit=x"' in wrong.stderr
    assert 'did you mean "limit"' in unknown.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jsonl", b"", "the file is empty"),
        ("empty.log.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("model.bin", b"\x80\x02}q\x00\x00\x00", "byte 4: expected text or recorded data, got binary data"),
        ("model.pt", b"PK\x03\x04rest", "got a zip archive (or a PyTorch checkpoint)"),
        ("log.txt", "wide".encode("utf-16"), "got UTF-16 text; iconv -f UTF-16 -t UTF-8"),
        (
            "config.json",
            b'{\n "model": "x",\n "layers": 3\n}\n',
            "expected `log_history` (trainer_state.json)",
        ),
        ("broken.gz", b"\x1f\x8b\x08\x00garbage and more of it", "the gzip data is broken"),
        ("broken.zst", b"\x28\xb5\x2f\xfdgarbage and more of it", "the zstd data is broken"),
        ("broken.parquet", b"PAR1 but not really", "the Parquet is broken"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    pack: Path, data: Path, name: str, content: bytes, said: str
) -> None:
    """The file, the place, what is wrong; the other files are still read; exit code 3."""
    (data / name).write_bytes(content)
    (data / "good.jsonl").write_text(BAD_STEPS)

    result = diagnose(pack, data / name, data / "good.jsonl", "--json")

    assert result.exit_code == ERROR
    assert [one["run"] for one in found(result)] == ["good"]
    (line,) = [line for line in result.stderr.splitlines() if name in line]
    assert line.startswith(f"trainwarden: {data / name}")
    assert said in line
    assert "Traceback" not in result.output


def _state(steps: int) -> str:
    history = [{"step": step, "loss": 2.0 if step != 5 else float("nan")} for step in range(steps)]
    return json.dumps({"best_metric": None, "log_history": history}, indent=2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "trainer_state.json",
            _state(50)[:900].encode(),
            r"line \d+ \(after \d+ records\): the JSON ends in the",
        ),
        (
            "a.jsonl.gz",
            gzip.compress(BAD_STEPS.encode() + GOOD_STEPS, mtime=0)[:-400],
            r"after line \d+: the compressed data ends",
        ),
        (
            "b.jsonl",
            BAD_STEPS.encode() + b'{"step": 4, "lo',
            r"line 4: expected a JSON object, got text that is no",
        ),
    ],
)
def test_a_file_cut_short_gives_what_is_whole(
    pack: Path, data: Path, name: str, content: bytes, said: str
) -> None:
    """What comes before the cut is judged."""
    (data / name).write_bytes(content)

    result = diagnose(pack, data / name, "--json")

    assert re.search(said, result.stderr), result.stderr
    assert "not-finite" in [one["rule"] for one in found(result)]


def test_bad_lines_are_counted_and_named_once(pack: Path, data: Path) -> None:
    """The good ones around them are judged; a bad line is no unreadable file."""
    (data / "a.jsonl").write_text(
        '{"step": 1, "loss": 2.0}\nnonsense\n[1]\n"x"\n{"step": 2, "loss": "NaN"}\n'
    )
    (data / "b.csv").write_text("step,loss\n1,2.0\n2\n3,nan\n4,2.0,5\n")

    result = diagnose(pack, data / "a.jsonl", data / "b.csv", "--json")

    assert result.exit_code == FOUND
    assert [(one["run"], one["step"]) for one in found(result)] == [("a", 2), ("b", 3)]
    assert "a.jsonl, line 2 and 2 more: expected a JSON object, got text that is no JSON" in result.stderr
    assert "b.csv, line 3 and 1 more: expected 2 cells as in the header, got 1; skipped" in result.stderr


def test_a_folder_is_searched(pack: Path, data: Path) -> None:
    """Everything recorded in it is read; settings, weights and hidden files are passed by in silence."""
    (data / "deep").mkdir()
    (data / "deep" / "rank_1.jsonl").write_text(BAD_STEPS)
    (data / "config.json").write_text('{"model": "x"}')
    (data / "notes.txt").write_text("CUDA out of memory")
    (data / "weights.bin").write_bytes(b"\0" * 100)
    (data / ".hidden.jsonl").write_text(BAD_STEPS)

    result = diagnose(pack, data, "--json")

    assert [(one["run"], one["rank"]) for one in found(result)] == [("rank_1", 1)]
    assert "trainwarden: expected" not in result.stderr


def test_a_folder_without_recorded_data_says_so(pack: Path, data: Path) -> None:
    """One line, exit code 3."""
    (data / "weights.bin").write_bytes(b"\0" * 100)

    result = diagnose(pack, data)

    assert result.exit_code == ERROR
    assert f"{data}: expected recorded data in it" in result.stderr


def test_a_path_that_is_not_there_is_wrong_usage(pack: Path, data: Path) -> None:
    """Exit code 2."""
    result = diagnose(pack, data / "nothing.jsonl")

    assert result.exit_code == USAGE
    assert "nothing.jsonl: expected a file or a folder, found none of this name" in result.stderr


def test_a_file_that_cannot_be_read_says_so(pack: Path, data: Path) -> None:
    """The system's own words, and the place (a process's memory opens, but its beginning is not there)."""
    (data / "good.jsonl").write_text(BAD_STEPS)

    result = diagnose(pack, "/proc/self/mem", data / "good.jsonl", "--json")

    assert result.exit_code == ERROR
    assert "/proc/self/mem: cannot be read: Input/output error" in result.stderr
    assert [one["run"] for one in found(result)] == ["good"]


def test_rules_with_mistakes_end_the_command(pack: Path, data: Path) -> None:
    """All mistakes, exit code 3, nothing is read."""
    pack.write_text(PACK.replace("when: loss < 0.1", "when: los < 0.1"))
    (data / "a.jsonl").write_text(BAD_STEPS)

    result = diagnose(pack, data / "a.jsonl", "--json")

    assert (result.exit_code, result.stdout) == (ERROR, "")
    assert 'did you mean "loss"' in result.stderr


def test_a_person_reads_what_where_how_sure_and_what_to_do(pack: Path, data: Path) -> None:
    """80 columns, no colour: the finding, its margin, its persistence, a picture, the actions."""
    (data / "my-run.jsonl").write_text(
        "".join(f'{{"step": {i}, "grad_norm": {25 if i in (20, 21) else 1}}}\n' for i in range(40))
    )

    lines = diagnose(pack, data / "my-run.jsonl").stdout.splitlines()

    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in text
    assert lines[0].startswith("my-run: 1 warning in 40 steps (0 to 39) by ")
    assert "Gradient norm 25 is 25.0 times the usual" in text
    assert "jump (grad_explosion)" in text
    assert re.search(r"where +rank 0, step 21, ", text)
    assert re.search(r"sure +ratio 25 > limit 10", text)
    assert "2 in a row, since step 20" in text
    assert re.search(r"series +▁+█\[█\]▁+  grad_norm 1 to 25", text)
    assert re.search(r"until +rank 0, step 22, my-run.jsonl line 23 \(cleared\)", text)


def test_repeated_findings_are_told_together(pack: Path, data: Path) -> None:
    """The first in full, the others by their step."""
    (data / "a.jsonl").write_text(
        "".join(f'{{"step": {i}, "loss": {"NaN" if i % 5 == 0 else 1}}}\n' for i in range(100))
    )

    text = diagnose(pack, data / "a.jsonl").stdout

    assert text.count("Loss is nan") == 1
    assert "step 5; step 10; step 15" in text
    assert "and 11 more" in " ".join(text.split())
    assert text.startswith("a: 20 critical in 100 steps")


def test_a_quiet_run_has_one_line(pack: Path, data: Path) -> None:
    """Nothing found, in how much, by how many rules."""
    (data / "a.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 2.0}\n')

    result = diagnose(pack, data / "a.jsonl")

    assert result.stdout.strip() == "a: nothing found in 2 steps (1 to 2) by 2 rules"


def test_colour_only_on_a_terminal(pack: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets plain text, without NO_COLOR too."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    (data / "a.jsonl").write_text(BAD_STEPS)

    result = CliRunner().invoke(cli.app, ["diagnose", "--rules", str(pack), str(data / "a.jsonl")])

    assert "Loss is nan" in result.stdout
    assert "\x1b" not in result.stdout
