"""Reports out of a real history."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from stream.report import about_run, compared, comparing, pages
from stream.report.ask import Ask
from stream.report.facts import IncidentFacts, RunFacts
from stream.report.ruletext import Shelf
from stream.report.spent import parts_of
from tests.cli.shell import Shell
from tests.dashboards.story import NOT_A_NUMBER_AT, ROLLBACK_AT, select
from tests.stream.report.conftest import BAD, CALM, SAVED
from tests.stream.report.rig import LOST_STEPS, VERSION

pytestmark = pytest.mark.slow
FORMS = ("html", "md")


@pytest.fixture(autouse=True)
def _rules_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """To load them takes longer than most of what is tested here."""
    monkeypatch.setattr(Shelf, "of_files", lambda *_: shelf)


class _Page(HTMLParser):
    """Tags with their attributes, and all text outside of style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._style = "", False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else data


def _self_contained(page: str) -> _Page:
    """Nothing that a browser would fetch or run, whoever wrote it."""
    read = _Page(page)
    tags = {tag for tag, _ in read.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "a", "audio", "video", "base"}
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "xlink:href")], (
            tag
        )
        assert tag != "link" or attributes["href"] == "data:,"
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    return read


def test_the_verdict_of_an_incident(saved_incident: IncidentFacts) -> None:
    """What was done, when, and what it cost, in one sentence."""
    page = _self_contained(pages.incident_page(saved_incident, "html"))
    cost = f"{LOST_STEPS} steps recomputed, 1.12 s lost, 0.02 GPU h lost."
    assert f"Trainwarden rolled back to step 175 after 0.127 s; {cost}" in page.text


@pytest.mark.parametrize("form", FORMS)
def test_an_incident_is_told_in_full(saved_incident: IncidentFacts, form: str) -> None:
    """Cause, evidence, timeline, actions, checkpoints, rule and runbook; the hints name their numbers."""
    page = pages.incident_page(saved_incident, form)
    text = _Page(page).text if form == "html" else page.replace("\\", "")
    for words in (
        "loss-not-finite at step", "since_step", "gradient-explosion", "rank 0", "host-1",
        "The command to rollback waited for approval for 0.025 s.",
        "Checkpoints were 25 steps apart and 41 steps had to be made again",
        "Runbook of loss-not-finite", f"version {VERSION}", "The rule has changed since",
        "id: loss-not-finite", "loss is nan", "rollback: loaded checkpoint of step 175",
    ):  # fmt: skip
        assert words in text, words


def test_the_timeline_is_in_order(saved_incident: IncidentFacts) -> None:
    """Event, fired, decided, sent, acked, recovered."""
    timeline = saved_incident.timeline
    assert [one.at for one in timeline] == sorted(one.at for one in timeline)
    first = {what: next(n for n, one in enumerate(timeline) if one.what == what) for what in
             ("event", "fired", "decided", "sent", "acked", "recovered")}  # fmt: skip
    assert sorted(first, key=lambda what: first[what]) == list(first)


def test_gaps_of_a_curve_are_said(saved_incident: IncidentFacts) -> None:
    """How many values were not finite, and where it began; the curve breaks there."""
    facts = saved_incident
    loss = next(one for one in facts.curves if one.name == "loss")
    assert (loss.not_finite, loss.bad_step) == (ROLLBACK_AT - NOT_A_NUMBER_AT, NOT_A_NUMBER_AT)
    assert len(loss.strands) == 2
    assert (
        "4 values not finite (NaN or infinite), first at step 216"
        in _Page(pages.incident_page(facts, "html")).text
    )
    assert "**4**, first at step 216" in pages.incident_page(facts, "md")


@pytest.mark.parametrize("form", FORMS)
def test_a_run_is_told_in_full(saved_run: RunFacts, form: str) -> None:
    """Curves, incidents, goodput, checkpoints, evaluations, hardware, log."""
    page = pages.run_page(saved_run, form)
    text = _self_contained(page).text if form == "html" else page.replace("\\", "")
    for words in (
        "Finished at step", "One incident: Trainwarden rolled back", "productive", "2 saves, 2 verified",
        "eval_loss", "GPU", "host-1", "Gradient norm", "Learning rate", "Throughput",
    ):  # fmt: skip
        assert words in text, words


def test_numbers_agree(ask: Ask, shelf: Shelf, reported: str, shell: Shell) -> None:
    """The report's last loss, steps and goodput are those of SQL, `runs show` and the trainer."""
    facts = about_run.facts(ask, "report-b", shelf)
    told = [row["value"] for row in CALM.tables()["train_steps"] if row["name"] == "loss"]
    loss = facts.curve("loss")
    assert loss is not None
    assert (loss.last, loss.low, facts.last_step) == (told[-1], min(told), CALM.steps - 1)
    sql = "SELECT argMax(value, time) FROM train_steps WHERE run = 'report-b' AND name = 'loss'"
    assert float(select(reported, sql)) == loss.last
    steps, goodput, wall = select(
        reported, "SELECT steps, goodput, wall FROM train_goodput_runs WHERE run = 'report-b'"
    ).split("\t")
    assert facts.goodput is not None
    spent = facts.goodput.whole
    assert (spent.steps, spent.goodput) == (int(steps), float(goodput))
    parts = sum(seconds for _, _, seconds in parts_of(facts.goodput))
    assert parts == pytest.approx(float(wall), rel=0.005)
    shown = json.loads(shell.run("runs", "show", "report-b", "--json", "--clickhouse", reported).stdout)
    assert (shown["last"]["loss"]["value"], shown["last_step"]) == (loss.last, facts.last_step)
    productive = sum(one["productive"] for one in shown["attempts"])
    assert productive == pytest.approx(spent.productive, abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_run_is_a_report(ask: Ask, shelf: Shelf, form: str) -> None:
    """Of a run that only said that it began."""
    page = pages.run_page(about_run.facts(ask, "report-empty", shelf), form)
    assert "Running without a step" in page
    assert "no" in page.lower()


def test_hostile_text_is_text_in_html(bad_run: RunFacts, bad_incident: IncidentFacts) -> None:
    """In the name, the log, the summary, the rule, the evidence: nothing of it is markup."""
    for page in (
        pages.run_page(bad_run, "html"),
        pages.incident_page(bad_incident, "html"),
    ):
        read = _self_contained(page)
        assert "<script>alert(1)</script><img src=x onerror=alert(2)> \\x1b[31mred" in read.text
        assert "\\u202egnp.exe\\u202c" in read.text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
        assert "{{ 7 * 7 }}" in read.text
        assert "(1,000,000 characters, 600 shown)" in read.text
        assert len(page.encode()) < 2_000_000


def test_hostile_text_is_text_in_markdown(bad_run: RunFacts, bad_incident: IncidentFacts) -> None:
    """A parser finds no link, no picture, no HTML, and no table that others' text began or ended."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for page in (
        pages.run_page(bad_run, "md"),
        pages.incident_page(bad_incident, "md"),
    ):
        tokens = parser.parse(page)
        kinds = {inner.type for token in tokens for inner in (token, *(token.children or []))}
        assert not kinds & {"link_open", "image", "html_inline", "html_block", "em_open", "s_open"}, kinds
        width = 0
        for number, token in enumerate(tokens):
            if token.type == "tr_open":
                end = next(n for n in range(number, len(tokens)) if tokens[n].type == "tr_close")
                cells = sum(one.type in ("td_open", "th_open") for one in tokens[number:end])
                width = cells if tokens[number - 1].type == "thead_open" else width
                assert cells == width
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)


def test_runs_side_by_side(ask: Ask) -> None:
    """Their numbers, where they part, and how that was found."""
    found = comparing.compare(ask, ["report-a", "report-b", BAD.story.run])
    assert [side.incidents for side in found.sides] == [1, 0, 1]
    assert found.parting[0].common > 300
    plain = compared.to_json(found)
    json.dumps(plain, allow_nan=False)
    assert plain["runs"][0]["lost_steps"] == LOST_STEPS
    assert plain["runs"][1]["loss"] == pytest.approx(found.series[1][CALM.steps - 1])
    page = _self_contained(compared.page(found, "html"))
    assert "Loss by step" in page.text
    assert "<script>alert(1)" in page.text
    assert found.method in page.text
    assert "## How they were compared" in compared.page(found, "md")


def test_a_run_and_itself_do_not_part(ask: Ask) -> None:
    """Nor does a run without steps."""
    found = comparing.compare(ask, ["report-b", "report-b", "report-empty"])
    assert [one.step for one in found.parting] == [None, None]
    assert found.common == []


def test_hostile_names_in_a_terminal(reported: str, shell: Shell) -> None:
    """No escape comes through."""
    done = shell.run("runs", "compare", BAD.story.run, "report-b", "--clickhouse", reported)
    assert done.returncode == 0, done.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.stdout)
    assert "\\x1b[31mred" in re.sub(r"\s+", "", done.stdout)


def test_the_command_writes_a_file(reported: str, shell: Shell, tmp_path: Path) -> None:
    """Named by -o, in the format of its name; not over another one unless told to."""
    target = tmp_path / "out.md"
    done = shell.run("runs", "report", "char-gpt", "-o", str(target), "--clickhouse", reported)
    assert (done.returncode, done.stdout.strip()) == (0, str(target)), done.stderr
    assert target.read_text().startswith("# Run char-gpt\n")
    said = shell.fails(2, "runs", "report", "char-gpt", "-o", str(target), "--clickhouse", reported)
    assert said == f"{target} exists: name another file, or say --force to replace it"
    again = shell.run("runs", "report", "calm", "-o", str(target), "--force", "--clickhouse", reported)
    assert again.returncode == 0
    assert target.read_text().startswith("# Run calm\n")
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".out")] == []


def test_the_command_prints(reported: str, shell: Shell) -> None:
    """With -o - on the standard output, for an incident by the beginning of its id."""
    done = shell.run(
        "incidents", "report", SAVED.id[:24], "-o", "-", "--format", "md", "--clickhouse", reported
    )
    assert done.stdout.startswith(f"# Incident {SAVED.id[:12]}: loss-not-finite in char-gpt\n")
    compared_ = shell.run("runs", "compare", "report-a", "report-b", "--json", "--clickhouse", reported)
    assert [one["id"] for one in json.loads(compared_.stdout)["runs"]] == ["report-a", "report-b"]


WRONG: list[tuple[int, tuple[str, ...], str]] = [
    (3, ("runs", "report", "char-gtp"), 'no run has the id or name char-gtp; did you mean "char-gpt"?'),
    (3, ("runs", "compare", "calm", "clam"), 'no run has the id or name clam; did you mean "calm"?'),
    (3, ("runs", "export", "char-gtp", "-o", "{tmp}/x"), 'name char-gtp; did you mean "char-gpt"?'),
    (3, ("incidents", "report", "ffffffff"), "no incident has the id ffffffff; `trainwarden incidents list`"),
    (3, ("incidents", "report", SAVED.id[:20] + "1" * 12), f"; did you mean {SAVED.id} or "),
    (2, ("runs", "report", "calm", "-o", "{tmp}/no/x.html"), "there is no folder "),
    (2, ("runs", "report", "calm", "-o", "{tmp}"), "expected a file, is a folder"),
    (2, ("runs", "compare", "calm"), "expected two to 8 runs to compare, got 1"),
    (2, ("runs", "compare", "calm", "report-b"), "calm and report-b are the same run, report-b"),
    (2, ("runs", "export", "calm", "-o", "a.parquet", "--only", "steps", "--only", "evals"), "one --only"),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(WRONG)))
def test_what_cannot_be_is_one_sentence(place: int, reported: str, shell: Shell, tmp_path: Path) -> None:
    """Names the nearest, or the cure."""
    code, words, said = WRONG[place]
    line = shell.fails(code, *(word.format(tmp=tmp_path) for word in words), "--clickhouse", reported)
    assert said in line


def test_no_history_to_ask(shell: Shell) -> None:
    """Unknown is wrong usage; silent is an error."""
    for words in (("runs", "report", "x"), ("incidents", "report", "x"), ("runs", "compare", "x", "y")):
        assert shell.fails(2, *words).startswith("no clickhouse is known: give --clickhouse, set ")
        said = shell.fails(3, *words, "--clickhouse", "http://127.0.0.1:9")
        assert said.startswith("ClickHouse: expected an answer from http://127.0.0.1:9/default")


def test_a_history_without_the_schema(clickhouse_url: str, shell: Shell) -> None:
    """Says how to mend it."""
    said = shell.fails(3, "runs", "report", "x", "--clickhouse", f"{clickhouse_url}/system")
    assert said.startswith("ClickHouse refused (code 60): ")
    assert said.endswith("`trainwarden db migrate`")


def test_a_folder_that_is_closed(
    reported: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is said before anything is asked."""
    monkeypatch.setattr("os.access", lambda *_: False)
    said = shell.fails(3, "runs", "report", "calm", "-o", str(tmp_path / "x.html"), "--clickhouse", reported)
    assert said.endswith("x.html: cannot be written: permission denied")
