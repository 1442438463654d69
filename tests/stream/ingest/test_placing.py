"""What a node sends without a run id reaches the runs on it."""

from __future__ import annotations

from emitter.vocabulary import topics
from stream import events
from stream.ingest import placing
from stream.ingest.messages import ingest
from stream.otlp.runs import RunEvents
from stream.placements import Placed, decode, encode
from stream.records import Incoming
from tests.stream.sink.build import logs

HOSTS = {
    "node-a": {"r1": Placed("r1", 2, (0, 1), "gpt"), "r2": Placed("r2", 0, (0,))},
    "node-b": {"r1": Placed("r1", 2, (2, 3), "gpt")},
}
LINE = {"event": "train.log", "body": "NVRM: Xid (PCI:0000:1b:00): 79"}


def taken(payload: bytes, hosts: placing.Hosts) -> dict[str, events.Batch]:
    """The batches of a record of otlp_logs, by run."""
    made = ingest(Incoming(topics.OTLP_LOGS, 0, 7, payload), 2, hosts)
    found = [events.decode(one.value) for one in made]
    assert all(one.key == batch.run.encode() for one, batch in zip(made, found, strict=True))  # type: ignore[union-attr]
    return {batch.run: batch for batch in found if isinstance(batch, events.Batch)}


def test_the_events_of_a_node_are_copied_to_each_run_on_it() -> None:
    """As of the present attempt, without a rank: the node is meant."""
    batches = taken(logs(LINE, resource={"host.name": "node-a", "service.name": "kernel"}), HOSTS)
    assert list(batches) == ["r1", "r2"]
    (sender,) = batches["r1"].resources
    assert (sender.run, sender.attempt, sender.run_name, sender.rank, sender.node) == (
        "r1",
        2,
        "gpt",
        None,
        "node-a",
    )
    assert [event.body for event in batches["r1"].events] == [LINE["body"]]
    assert batches["r2"].resources[0].attempt == 0


def test_a_node_without_runs_and_a_sender_without_a_node_reach_no_rule() -> None:
    """History has them all the same."""
    assert taken(logs(LINE, resource={"host.name": "node-c"}), HOSTS) == {}
    assert taken(logs(LINE, resource={"service.name": "x"}), HOSTS) == {}
    assert taken(logs(LINE, resource={"host.name": "node-a"}), {}) == {}


def test_a_run_gets_one_batch_of_a_record() -> None:
    """Its own events first, then what was copied: a reader takes each record once."""
    own = events.Resource("r1", node="node-a", rank=0)
    node = events.Resource("", node="node-b")
    both = placing.joined(
        RunEvents("r1", [own], [events.Event("train.step", 1)]),
        placing.copies(RunEvents("", [node], [events.Event("metric", 2)]), HOSTS)[0],
    )
    assert [(e.name, both.resources[e.resource].node, e.resource) for e in both.events] == [
        ("train.step", "node-a", 0), ("metric", "node-b", 1),
    ]  # fmt: skip


def test_several_nodes_in_one_request() -> None:
    """As a Collector that gathers them sends."""
    nodes = [events.Resource("", node="node-b"), events.Resource("", node="node-a")]
    group = RunEvents("", nodes, [events.Event("metric", 1, 0), events.Event("metric", 2, 1)])
    first, second = placing.copies(group, HOSTS)
    assert [(e.time, first.resources[e.resource].node) for e in first.events] == [
        (1, "node-b"),
        (2, "node-a"),
    ]
    assert [(e.time, second.resources[e.resource].node) for e in second.events] == [(2, "node-a")]


def test_placements_survive_the_topic() -> None:
    """And the record of a host without runs is empty."""
    record = encode("node-a", HOSTS["node-a"])
    assert decode(record.key, record.value) == ("node-a", HOSTS["node-a"])
    gone = encode("node-a", {})
    assert (gone.value, decode(gone.key, gone.value)) == (b"", ("node-a", {}))
