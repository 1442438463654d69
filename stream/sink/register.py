"""What sinks tell each other through ClickHouse: claims on partitions, batches, numbers of emitters.

Tables trainwarden_sinks, trainwarden_batches and trainwarden_records. A sink writes down a batch, then looks
whether its claim is still the highest; a sink that takes over claims, then reads the batches. So one of the
two sees the other: either the first does not insert, or the second inserts exactly the same again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from stream.history import HistoryError, connect
from stream.sink import tables
from stream.sink.plans import CLAIM_BITS, Key, Place, Plan, in_force, next_claim
from stream.sink.ranges import Range
from stream.sink.settle import Sent
from stream.sink.writer import CONNECT_TIMEOUT_S, INSERT_TIMEOUT_S, UnavailableError, unavailable

MOST_PLANS: Final = 1_000
"""Of one partition, read at once; the next are read when the records have come so far."""
_ALWAYS: Final = {"async_insert": 0, "insert_deduplicate": 0, "max_query_size": 2**26}
_NUMBERED: Final = (
    tables.STEPS, tables.EVALS, tables.RESOURCES, tables.HEARTBEATS, tables.METRICS, tables.OTEL_LOGS,
)  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True)
class Takeover:
    """A claim and what was planned before it; ``until``: the offset up to which that is all, None: all."""

    claim: int
    life: int
    plans: list[Plan]
    until: int | None


class Register:
    """One sink's view of the tables; used from one thread at a time. Every method may raise UnavailableError.

    ``source`` is the id of the Kafka cluster.
    """

    def __init__(self, url: str, source: str = "") -> None:
        self.source = source
        self._url = url
        self._client: Client | None = None
        self._sink = random.SystemRandom().randrange(2**CLAIM_BITS)

    def take_over(self, places: Mapping[Place, int]) -> dict[Place, Takeover]:
        """Claim these partitions; what was planned from the given offsets on."""
        highest = self._highest(places)
        claims = {place: next_claim(highest.get(place, 0), self._sink) for place in places}
        rows = [(self.source, *place, claim) for place, claim in claims.items()]
        self._insert("trainwarden_sinks", _SINKS, rows)
        lives = self._lives(places)
        return {place: self._taken(place, offset, claims[place], lives) for place, offset in places.items()}

    def write(self, plans: Iterable[Plan], numbers: Mapping[Key, Iterable[Range]]) -> None:
        """Write down batches that will be inserted, or (``stored``) were."""
        sent = [
            (r.emitter, r.bucket, r.first, r.last, self.source, *key.place, key.first, key.claim)
            for key, ranges in numbers.items()
            for r in ranges
        ]
        if sent:
            self._insert("trainwarden_records", _RECORDS, sent)
        rows = [
            (self.source, *p.place, p.first, p.last, p.life, p.claim, bytes.fromhex(p.token), p.first_mark,
             p.last_mark, int(p.stored))
            for p in plans
        ]  # fmt: skip
        if rows:
            self._insert("trainwarden_batches", _BATCHES, rows)

    def lost(self, claims: Mapping[Place, int]) -> set[Place]:
        """The partitions that were claimed after us."""
        highest = self._highest(claims)
        return {place for place, claim in claims.items() if highest.get(place, 0) > claim}

    def sent(self, ranges: Collection[Range], vague: Collection[str] = ()) -> list[Sent]:
        """Who else holds numbers out of these. Our own batches only for ``vague`` senders."""
        keys = sorted({(r.emitter, r.bucket) for r in ranges})
        if not keys:
            return []
        ours = f"bitAnd(claim, {2**CLAIM_BITS - 1}) != {self._sink}"
        if vague:
            ours = f"({ours} OR emitter IN %(vague)s)"
        rows = self._query(
            "SELECT emitter, first, last, topic, partition, first_offset, claim, min(_block_number),"
            " dateDiff('second', min(planned), now()) FROM trainwarden_records"
            f" WHERE source = %(source)s AND (emitter, bucket) IN %(keys)s AND {ours}"
            " GROUP BY emitter, first, last, topic, partition, first_offset, claim",
            {"source": self.source, "keys": keys, "vague": sorted(vague)},
        )
        wanted = _Wanted(ranges)
        return [
            Sent(Range(row[0], row[1], row[2]), Key(Place(row[3], row[4]), row[5], row[6]), row[7], row[8])
            for row in rows
            if wanted.touches(Range(row[0], row[1], row[2]))
        ]

    def stored(self, keys: Collection[Key]) -> set[Key]:
        """Those of these batches of which it is written that they were inserted."""
        wanted = sorted({(*key.place, key.first) for key in keys})
        rows = self._query(
            "SELECT topic, partition, first_offset, claim FROM trainwarden_batches WHERE source = %(source)s"
            " AND (topic, partition, first_offset) IN %(keys)s"
            " GROUP BY topic, partition, first_offset, claim HAVING max(stored) = 1",
            {"source": self.source, "keys": wanted},
        )
        return {Key(Place(row[0], row[1]), row[2], row[3]) for row in rows} & set(keys)

    def numbers_in_history(self, emitter: str, first: int, last: int) -> set[int]:
        """The sequence numbers of an emitter that have rows. Reads whole tables: for what nobody knows."""
        parts = [f"SELECT seq FROM {table} WHERE {_OF_EMITTER}" for table in _NUMBERED]
        return self._numbers(f"SELECT DISTINCT seq FROM ({' UNION ALL '.join(parts)})", emitter, first, last)

    def spans_in_history(self, emitter: str, number: int) -> set[int]:
        """The same of a span, by its number."""
        span = "reinterpretAsInt64(reverse(unhex(SpanId)))"
        where = f"emitter = %(emitter)s AND {span} BETWEEN %(first)s AND %(last)s"
        return self._numbers(
            f"SELECT DISTINCT {span} FROM {tables.OTEL_TRACES} WHERE {where}", emitter, number, number
        )

    def offsets_in_history(self, table: str, place: Place, first: int, last: int) -> set[int]:
        """The Kafka records out of these that have rows in the table. Reads the whole table, as above."""
        rows = self._query(
            f"SELECT DISTINCT src_offset FROM {table} WHERE src_topic = %(topic)s"
            " AND src_partition = %(partition)s AND src_offset BETWEEN %(first)s AND %(last)s",
            {"topic": place.topic, "partition": place.partition, "first": first, "last": last},
        )
        return {int(row[0]) for row in rows}

    def close(self) -> None:
        """Let the connection go; the next call opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _highest(self, places: Iterable[Place]) -> dict[Place, int]:
        rows = self._query(
            "SELECT topic, partition, max(claim) FROM trainwarden_sinks"
            " WHERE source = %(source)s AND (topic, partition) IN %(places)s GROUP BY topic, partition",
            {"source": self.source, "places": [tuple(place) for place in places]},
        )
        return {Place(row[0], row[1]): int(row[2]) for row in rows}

    def _lives(self, places: Iterable[Place]) -> dict[Place, int]:
        rows = self._query(
            "SELECT topic, partition, max(life) FROM trainwarden_batches"
            " WHERE source = %(source)s AND (topic, partition) IN %(places)s GROUP BY topic, partition",
            {"source": self.source, "places": [tuple(place) for place in places]},
        )
        return {Place(row[0], row[1]): int(row[2]) for row in rows}

    def _taken(self, place: Place, offset: int, claim: int, lives: Mapping[Place, int]) -> Takeover:
        life = lives.get(place, 0)
        rows = self._plans(place, offset, life) if life else []
        plans = [
            Plan(place, first, last, life, by, token.hex(), first_mark, last_mark, bool(stored))
            for first, last, by, token, first_mark, last_mark, stored in rows
        ]
        edge = plans[-1].first if len(plans) == MOST_PLANS else None
        whole = [plan for plan in plans if edge is not None and plan.last < edge]
        if edge is None or not whole:
            return Takeover(claim, life, in_force(plans), None)
        return Takeover(claim, life, in_force(whole), edge - 1)

    def _plans(self, place: Place, offset: int, life: int) -> Sequence[Sequence[Any]]:
        return self._query(
            "SELECT first_offset, last_offset, claim, any(token), any(first_mark), any(last_mark),"
            " max(stored)"
            " FROM trainwarden_batches WHERE source = %(source)s AND topic = %(topic)s"
            " AND partition = %(partition)s AND last_offset >= %(offset)s AND life = %(life)s"
            f" GROUP BY first_offset, last_offset, claim ORDER BY first_offset LIMIT {MOST_PLANS}",
            {"source": self.source, "topic": place.topic, "partition": place.partition, "offset": offset,
             "life": life},
        )  # fmt: skip

    def _numbers(self, query: str, emitter: str, first: int, last: int) -> set[int]:
        rows = self._query(query, {"emitter": emitter, "first": first, "last": last})
        return {int(row[0]) for row in rows}

    def _insert(self, table: str, schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> None:
        columns = zip(zip(*rows, strict=True), schema, strict=True)
        arrays = [pa.array(values, field.type) for values, field in columns]
        content = pa.Table.from_arrays(arrays, schema=schema)
        self._try(table, lambda client: client.insert_arrow(table, content, settings=_ALWAYS))

    def _query(self, query: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        settings = {"max_query_size": _ALWAYS["max_query_size"]}
        return self._try(
            "trainwarden_batches",
            lambda client: (
                client.query(
                    query,
                    parameters=dict(parameters),
                    settings=settings,
                    query_formats={"FixedString": "bytes"},
                ).result_rows
            ),
        )

    def _try(self, table: str, call: Callable[[Client], T]) -> T:
        try:
            if self._client is None:
                self._client = connect(
                    self._url, connect_timeout=CONNECT_TIMEOUT_S, send_receive_timeout=INSERT_TIMEOUT_S
                )
            return call(self._client)
        except ClickHouseError as error:
            self.close()
            raise UnavailableError(unavailable(self._url, table, error)) from error
        except (HistoryError, OSError) as error:
            self.close()
            raise UnavailableError(str(error)) from error


class _Wanted:
    """Ranges, asked whether another touches one of them."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._by_bucket: dict[tuple[str, int], list[Range]] = {}
        for each in ranges:
            self._by_bucket.setdefault((each.emitter, each.bucket), []).append(each)

    def touches(self, other: Range) -> bool:
        mine = self._by_bucket.get((other.emitter, other.bucket), ())
        return any(other.first <= each.last and each.first <= other.last for each in mine)


_OF_EMITTER: Final = "emitter = %(emitter)s AND seq BETWEEN %(first)s AND %(last)s"
_PLACE: Final = (("source", tables.LOW), ("topic", tables.LOW), ("partition", pa.uint16()))
_SINKS: Final = pa.schema([*_PLACE, ("claim", pa.uint64())])
_BATCHES: Final = pa.schema(
    [
        *_PLACE, ("first_offset", pa.uint64()), ("last_offset", pa.uint64()), ("life", pa.uint64()),
        ("claim", pa.uint64()), ("token", pa.binary(16)), ("first_mark", pa.uint64()),
        ("last_mark", pa.uint64()), ("stored", pa.uint8()),
    ]
)  # fmt: skip
_RECORDS: Final = pa.schema(
    [
        ("emitter", tables.LOW), ("bucket", pa.int64()), ("first", pa.int64()), ("last", pa.int64()),
        *_PLACE, ("first_offset", pa.uint64()), ("claim", pa.uint64()),
    ]
)  # fmt: skip
