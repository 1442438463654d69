"""``trainwarden ship``: files of real emitters to a real receiver, and to Kafka."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from typer.testing import CliRunner, Result

import emitter
from emitter._records import Fate, Outcome, Payload
from emitter.vocabulary import topics
from stream.cli import app
from stream.shipping.errors import ShippingError
from stream.shipping.shipment import Shipment
from stream.shipping.target import target_of
from tests.emitter.grpc_side import Collector, serve
from tests.emitter.receiver import Receiver, attributes
from tests.fixtures import free_port, read_topic, wait_for


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TRAINWARDEN_STRICT", "1")
    monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path / "no-stack"))
    monkeypatch.delenv("TRAINWARDEN_ENDPOINT", raising=False)
    yield
    emitter.shutdown()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


def train(folder: Path, steps: int = 5, *, rank: int = 0, run: str = "r", first: int = 0) -> None:
    """A short run that writes into the folder."""
    emitter.init(
        run=run, run_id=run, rank=rank, world_size=2, endpoint=f"file://{folder}", resources=False,
        logs=False, hooks=False, flush_s=0.001,
    )  # fmt: skip
    for step in range(first, first + steps):
        emitter.step(step, loss=float(step))
    with emitter.checkpoint(steps, "there"):
        pass
    emitter.shutdown()


def ship(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["ship", *map(str, arguments)])


def steps_of(receiver: Receiver) -> list[int]:
    return [attributes(record)["train.step"] for record in receiver.records("train.step")]


def logs_file(folder: Path) -> Path:
    (found,) = folder.glob("*-logs-*.jsonl*")
    return found


def test_everything_arrives_as_it_was_written(tmp_path: Path, receiver: Receiver) -> None:
    """Logs and spans, with the resource and the time of the emitter; the summary says how many."""
    train(tmp_path / "out")

    result = ship(tmp_path / "out", "--endpoint", receiver.url)

    assert result.exit_code == 0, result.output
    assert steps_of(receiver) == [0, 1, 2, 3, 4]
    assert [span.name for span in receiver.spans()] == ["checkpoint.save"]
    assert receiver.resource()["train.run.id"] == "r"
    lines = [json.loads(line) for line in logs_file(tmp_path / "out").read_bytes().splitlines()]
    times = [
        int(record["timeUnixNano"])
        for line in lines for group in line["resourceLogs"] for scope in group["scopeLogs"]
        for record in scope["logRecords"]
    ]  # fmt: skip
    assert [record.time_unix_nano for record in receiver.records()] == times
    assert f"shipped {len(times) + 1} records of 2 files to {receiver.url}" in result.output


def test_what_was_shipped_is_not_shipped_again(tmp_path: Path, receiver: Receiver) -> None:
    """The second time nothing is sent; a new attempt's files are."""
    train(tmp_path / "out", 3)
    assert ship(tmp_path / "out", "--endpoint", receiver.url).exit_code == 0
    seen = receiver.requests

    assert "shipped 0 records of 0 files" in ship(tmp_path / "out", "--endpoint", receiver.url).output
    assert receiver.requests == seen
    train(tmp_path / "out", 2, first=3)
    ship(tmp_path / "out", "--endpoint", receiver.url)

    assert steps_of(receiver) == [0, 1, 2, 3, 4]


def test_another_target_has_its_own_place(tmp_path: Path, receiver: Receiver) -> None:
    """Shipping to a second stack starts at the beginning."""
    train(tmp_path / "out")
    ship(tmp_path / "out", "--endpoint", receiver.url)

    with Receiver() as second:
        ship(tmp_path / "out", "--endpoint", second.url)
        assert steps_of(second) == [0, 1, 2, 3, 4]


def test_compressed_files_are_read_and_known_again(tmp_path: Path, receiver: Receiver) -> None:
    """A file that was shipped and then compressed is the same file."""
    train(tmp_path / "out")
    path = logs_file(tmp_path / "out")
    content = path.read_bytes()
    half = content.index(b"\n", len(content) // 2) + 1
    path.write_bytes(content[:half])
    ship(tmp_path / "out", "--endpoint", receiver.url)
    with gzip.open(f"{path}.gz", "wb") as file:
        file.write(content)
    path.unlink()

    result = ship(tmp_path / "out", "--endpoint", receiver.url)

    assert result.exit_code == 0, result.output
    assert steps_of(receiver) == [0, 1, 2, 3, 4]


def test_ranks_are_sent_side_by_side(tmp_path: Path) -> None:
    """In the order of their times, whatever the files are called."""
    order: list[int] = []

    class Order:
        name = "order"

        def send(self, payload: Payload) -> Outcome:
            request = ExportLogsServiceRequest.FromString(payload.body)
            order.append(request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano)
            return Outcome(Fate.SENT)

        def close(self) -> None: ...

    for rank in range(2):
        lines = [_line(time) for time in range(rank + 1, 400, 2)]
        (tmp_path / f"rank{rank}.jsonl").write_bytes(b"".join(lines))

    Shipment(tmp_path, Order(), print).run(follow=False, patience_s=1)

    assert order == sorted(order)
    assert len(order) > 4


def _line(time: int, text: str = "x") -> bytes:
    record = {"timeUnixNano": str(time), "body": {"stringValue": text}}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode() + b"\n"


def test_a_last_line_that_was_cut_is_said_and_the_rest_shipped(tmp_path: Path, receiver: Receiver) -> None:
    """One line says so; exit code 3."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(_line(1) + _line(2)[:-20])

    result = ship(tmp_path, "--endpoint", receiver.url)

    assert result.exit_code == 3
    assert f"{path}: the last line ends after" in result.output
    assert len(receiver.records()) == 1


def test_a_last_line_without_its_newline_is_whole(tmp_path: Path, receiver: Receiver) -> None:
    """An editor, or another writer, may have left it out."""
    (tmp_path / "a.jsonl").write_bytes(_line(1) + _line(2)[:-1])

    assert ship(tmp_path, "--endpoint", receiver.url).exit_code == 0
    assert len(receiver.records()) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"hello\n", "expected a line of OTLP/JSON, got something else"),
        (b'{"resourceLogs": 5}\n', "resourceLogs: expected an array, got 5"),
        (b'{"resourceMetrics": 5}\n', "resourceMetrics: expected an array, got 5"),
    ],
)
def test_a_bad_line_costs_itself(tmp_path: Path, receiver: Receiver, line: bytes, message: str) -> None:
    """What is around it arrives; one line names the file, the line and what is wrong, however many."""
    (tmp_path / "a.jsonl").write_bytes(_line(1) + line * 3 + b"\n" + _line(2))

    result = ship(tmp_path, "--endpoint", receiver.url)

    assert result.exit_code == 3
    assert f"a.jsonl, line 2: {message}; skipped, as are others like it" in result.output
    assert result.output.count("skipped") == 1
    assert len(receiver.records()) == 2


def test_broken_compression_ships_what_comes_before(tmp_path: Path, receiver: Receiver) -> None:
    """A .gz that ends in the middle."""
    whole = gzip.compress(b"".join(_line(time, f"{time * 7919:x}" * 9) for time in range(500)))
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.jsonl").write_bytes(_line(1, "other"))

    result = ship(tmp_path, "--endpoint", receiver.url)

    assert result.exit_code == 3
    assert "a.jsonl.gz: cannot be read on from byte" in result.output
    texts = [record.body.string_value for record in receiver.records()]
    assert "other" in texts
    assert len(texts) > 50


def test_a_file_that_cannot_be_opened_is_one_line(tmp_path: Path, receiver: Receiver) -> None:
    """A link that leads nowhere to open; the others are shipped."""
    (tmp_path / "a.jsonl").write_bytes(_line(1))
    real = tmp_path / "b.jsonl"
    real.write_bytes(_line(2))
    told: list[str] = []

    class Gone:
        name = "x"

        def send(self, payload: Payload) -> Outcome:
            real.unlink(missing_ok=True)
            return Outcome(Fate.SENT)

        def close(self) -> None: ...

    shipment = Shipment(tmp_path, Gone(), told.append)
    shipment._find()
    real.unlink()
    totals = shipment.run(follow=False, patience_s=1)

    assert totals.records == 1
    assert told == [f"{real}: cannot be read on from byte 0: No such file or directory"]


def test_a_replaced_file_is_shipped_from_its_beginning(tmp_path: Path, receiver: Receiver) -> None:
    """Same name, other content: told, and nothing of it is skipped."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(_line(1, "old") * 3)
    ship(tmp_path, "--endpoint", receiver.url)
    path.write_bytes(_line(2, "new") * 4)

    result = ship(tmp_path, "--endpoint", receiver.url)

    assert "is not the file that was shipped under this name" in result.output
    assert [record.body.string_value for record in receiver.records()].count("new") == 4


def test_a_target_that_is_down_is_waited_for(tmp_path: Path) -> None:
    """RETRY is tried again with growing pauses; nothing is sent twice or left out."""
    (tmp_path / "a.jsonl").write_bytes(b"".join(_line(time) for time in range(100)))
    outcomes = [Outcome(Fate.RETRY, "HTTP 503")] * 3
    got: list[int] = []
    pauses: list[float] = []
    told: list[str] = []

    class Flaky:
        name = "there"

        def send(self, payload: Payload) -> Outcome:
            if outcomes:
                return outcomes.pop()
            got.append(payload.records)
            return Outcome(Fate.SENT)

        def close(self) -> None: ...

    totals = Shipment(tmp_path, Flaky(), told.append, sleep=pauses.append).run(follow=False, patience_s=60)

    assert sum(got) == totals.records == 100
    assert pauses == [0.5, 1.0, 2.0]
    assert told == ["there does not answer (HTTP 503); trying again"]


def test_giving_up_says_how_to_go_on(tmp_path: Path) -> None:
    """One sentence with the reason, and the place is kept."""
    (tmp_path / "a.jsonl").write_bytes(_line(1))

    class Down:
        name = "there"

        def send(self, payload: Payload) -> Outcome:
            return Outcome(Fate.RETRY, "refused")

        def close(self) -> None: ...

    with pytest.raises(
        ShippingError, match=r"there took nothing for .* \(refused\); run the same command again"
    ):
        Shipment(tmp_path, Down(), print, sleep=lambda s: None).run(follow=False, patience_s=5)


def test_a_crash_between_answer_and_cursor_sends_one_request_twice(tmp_path: Path) -> None:
    """At least once, with the same numbers: what was acknowledged and not written down comes again."""
    (tmp_path / "a.jsonl").write_bytes(b"".join(_line(time) for time in range(100)))
    got: list[bytes] = []

    class Target:
        name = "there"

        def send(self, payload: Payload) -> Outcome:
            got.append(payload.body)
            if len(got) == 2:
                raise KeyboardInterrupt
            return Outcome(Fate.SENT)

        def close(self) -> None: ...

    with pytest.raises(KeyboardInterrupt):
        Shipment(tmp_path, Target(), print).run(follow=False, patience_s=1)
    Shipment(tmp_path, Target(), print).run(follow=False, patience_s=1)

    assert got[2] == got[1]
    assert len(set(got)) == len(got) - 1


def test_refused_records_are_counted_and_passed(tmp_path: Path) -> None:
    """A receiver that says no for good: told, exit code 3, and the next request follows."""
    with Receiver(status=400) as receiver:
        (tmp_path / "a.jsonl").write_bytes(_line(1))
        result = ship(tmp_path, "--endpoint", receiver.url)

    assert result.exit_code == 3
    assert "1 records were refused: HTTP 400" in result.output


def test_following_sends_what_is_written_meanwhile(tmp_path: Path, receiver: Receiver) -> None:
    """Lines, and files, that appear while it runs; half a line waits for its other half."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(_line(1) + _line(2)[:30])
    from stream.shipping.target import target_of

    class OverError(Exception):
        pass

    end = threading.Event()

    def sleep(seconds: float) -> None:
        if end.wait(0.01):
            raise OverError

    shipment = Shipment(tmp_path, target_of(receiver.url), print, sleep=sleep)

    def run() -> None:
        with pytest.raises(OverError):
            shipment.run(follow=True, patience_s=60)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: len(receiver.records()) == 1, what="the first line")
    with path.open("ab") as file:
        file.write(_line(2)[30:])
    (tmp_path / "b.jsonl").write_bytes(_line(3))
    wait_for(lambda: len(receiver.records()) == 3, what="the rest")
    end.set()
    thread.join()

    assert sorted(record.time_unix_nano for record in receiver.records()) == [1, 2, 3]
    assert shipment.totals.bad == 0


def test_two_at_once_are_refused(tmp_path: Path, receiver: Receiver) -> None:
    """The second says that there is a first."""
    (tmp_path / "a.jsonl").write_bytes(_line(1))
    from stream.shipping.cursor import NAME, Cursor

    cursor = Cursor(tmp_path / NAME, receiver.url)
    with pytest.raises(ShippingError, match="another `trainwarden ship` is at work here"):
        Cursor(tmp_path / NAME, receiver.url)
    cursor.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "cannot be read"), ("[]", "expected a cursor, got other JSON; delete it to ship all again")],
)
def test_a_broken_cursor_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    """It is not taken for an empty one: that would send everything again without a word."""
    (tmp_path / ".shipped.json").write_text(content)
    from stream.shipping.cursor import NAME, Cursor

    with pytest.raises(ShippingError, match=message):
        Cursor(tmp_path / NAME, "x")


def test_a_cursor_elsewhere(tmp_path: Path, receiver: Receiver) -> None:
    """For folders that cannot be written; nothing is left in them."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(_line(1))

    ship(folder, "--endpoint", receiver.url, "--cursor", tmp_path / "place.json")

    assert [path.name for path in folder.iterdir()] == ["a.jsonl"]
    assert (tmp_path / "place.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--endpoint", "http://127.0.0.1:1"], "nowhere: expected a folder or a file, found none"),
        ([".", "--endpoint", "ftp://x"], "--endpoint: expected it to be http"),
        ([".", "--endpoint", "file:there"], "expected http(s)://, grpc(s):// or kafka://, got file:"),
        (["."], "no endpoint is known: give --endpoint"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No traceback: what was expected, and what came."""
    monkeypatch.chdir(tmp_path)
    result = ship(*arguments)

    assert isinstance(result.exception, ShippingError)
    assert message in str(result.exception)


def _metrics(*values: int) -> bytes:
    """A line as a Collector's file exporter writes it: a gauge and a histogram."""
    points = [{"timeUnixNano": str(10 + value), "asInt": str(value)} for value in values]
    buckets = {
        "timeUnixNano": "9",
        "count": "3",
        "sum": 1.5,
        "bucketCounts": ["1", "2"],
        "explicitBounds": [1],
    }
    metrics = [
        {"name": "gpu.power", "unit": "W", "gauge": {"dataPoints": points}},
        {"name": "wait", "histogram": {"aggregationTemporality": 2, "dataPoints": [buckets]}},
    ]
    resource = {"attributes": [{"key": "host.name", "value": {"stringValue": "node-1"}}]}
    group = {"resource": resource, "scopeMetrics": [{"metrics": metrics}]}
    return json.dumps({"resourceMetrics": [group]}).encode() + b"\n"


def _points(request: ExportMetricsServiceRequest) -> list[float]:
    """The gauge's values; the histogram counts as its sum."""
    found: list[float] = []
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                found += [point.as_int for point in metric.gauge.data_points]
                found += [point.sum for point in metric.histogram.data_points]
    return found


@pytest.mark.parametrize("variable", [False, True], ids=["beside the logs", "a place of their own"])
def test_metrics_of_a_collector_are_shipped(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    """Files of metrics go on too, data points counted, to their own endpoint where there is one."""
    folder = tmp_path / "out"
    train(folder)
    (folder / "metrics.jsonl").write_bytes(_metrics(1, 2) + _metrics(3))
    arguments = ["--endpoint", receiver.url]
    if variable:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{receiver.url}/elsewhere")
        arguments = []

    result = ship(folder, *arguments)

    assert result.exit_code == 0, result.output
    assert steps_of(receiver) == [0, 1, 2, 3, 4]
    (path,) = {path for path in receiver.others if path != "/v1/traces"}
    assert path == ("/elsewhere" if variable else "/v1/metrics")
    (body,) = receiver.others[path]
    assert _points(ExportMetricsServiceRequest.FromString(body)) == [1, 2, 1.5, 3, 1.5]
    assert f"shipped {len(receiver.records()) + 1 + 5} records of 3 files" in result.output
    assert "shipped 0 records" in ship(folder, *arguments).output


def test_one_protocol_for_all_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that send metrics another way than logs are refused, not half followed."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")

    with pytest.raises(ShippingError, match="PROTOCOL: expected the same for all signals"):
        target_of(None)


def test_metrics_over_grpc(tmp_path: Path) -> None:
    """To the metrics service of OTLP/gRPC."""
    (tmp_path / "metrics.jsonl").write_bytes(_metrics(1, 2))
    collector, port = Collector(), free_port()
    server = serve(collector, port)
    try:
        result = ship(tmp_path, "--endpoint", f"grpc://127.0.0.1:{port}")
    finally:
        server.stop(None).wait()

    assert result.exit_code == 0, result.output
    assert [_points(request) for request in collector.metrics] == [[1, 2, 1.5]]


@pytest.mark.slow
def test_metrics_to_kafka(tmp_path: Path, broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the Collector's topic of metrics, in parts where a metric is larger than a message may be."""
    name = f"node-{uuid.uuid4().hex}"
    lines = _metrics(*range(40)) + _metrics(*range(40, 80))
    (tmp_path / "metrics.jsonl").write_bytes(lines.replace(b"node-1", name.encode()))
    monkeypatch.setenv("TRAINWARDEN_KAFKA_MAX_MESSAGE_BYTES", "500")

    result = ship(tmp_path, "--endpoint", f"kafka://{broker}")

    assert result.exit_code == 0, result.output
    assert "shipped 82 records of 1 files" in result.output

    def ours(record: Any) -> bool:
        return name.encode() in record.value

    records = read_topic(broker, topics.OTLP_METRICS, lambda found: _all_points(found) >= 82, ours)
    assert len(records) > 1
    assert _all_points(records) == 82


def _all_points(records: list[Any]) -> int:
    return sum(len(_points(ExportMetricsServiceRequest.FromString(one.value))) for one in records)


@pytest.mark.slow
def test_kafka_gets_the_same_under_the_emitters_key(tmp_path: Path, broker: str) -> None:
    """To the Collector's topics, keyed by emitter id, as the emitter itself would have written them."""
    run = f"ship-{tmp_path.name}"
    train(tmp_path / "out", run=run)

    result = ship(tmp_path / "out", "--endpoint", f"kafka://{broker}")

    assert result.exit_code == 0, result.output

    def ours(record: Any) -> bool:
        return run.encode() in record.value

    (record,) = read_topic(broker, topics.OTLP_LOGS, lambda found: len(found) >= 1, ours)
    request = ExportLogsServiceRequest.FromString(record.value)
    names = [r.event_name for g in request.resource_logs for s in g.scope_logs for r in s.log_records]
    assert names.count("train.step") == 5
    assert record.key.decode() == attributes(request.resource_logs[0].resource)["train.emitter.id"]
    assert len(read_topic(broker, topics.OTLP_SPANS, lambda found: len(found) >= 1, ours)) == 1
