"""Requests to the ClickHouse endpoint that are nearly right, on the wire, with good ones between them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import socket
import tempfile
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final
from urllib.parse import quote, urlsplit

import lz4.frame
import zstandard

from tests.fixtures import http_request
from tests.fixtures_clickhouse import start_clickhouse
from tests.fuzz.mutation import mutated
from tests.stream.clickhouse.talk import post

PATIENCE_S: Final = 0.1
"""So long an answer is waited for; then the client goes away, and that is a case of its own."""
GOOD_EVERY: Final = 10
TABLE: Final = "fuzzed"
_CREATE: Final = f"CREATE TABLE IF NOT EXISTS {TABLE} (a Int64, s String) ENGINE = MergeTree ORDER BY a"

_ROWS: Final = b'{"a": 1, "s": "x"}\n{"a": 2, "s": "y"}\n'
_INSERT: Final = f"INSERT INTO {TABLE} FORMAT JSONEachRow"
_NATIVE: Final = (
    b"\x02\x02\x01a\x05Int64" + b"\x01" + b"\0" * 7 + b"\x02" + b"\0" * 7 + b"\x01s\x06String\x01x\x01y"
)
_ENCODED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "lz4": lambda data: bytes(lz4.frame.compress(data)),
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
_LINES: Final = r"""
%00
%FF%FE
%
+
&
&&
=
?
#
param_x=1
{x:UInt8}
{x:
compress=1
decompress=1
session_id=s
session_timeout=-1
session_check=1
query_id=
wait_end_of_query=1
buffer_size=0
default_format=Nope
default_format=Parquet
default_format=Arrow
FORMAT Null
max_result_rows=-1
max_block_size=0
max_threads=999999
async_insert=1
database=none
role=x
user=x
password=y
HTTP/1.0
HTTP/9.9
OPTIONS
HEAD
PUT
CONNECT
'
\
`
"
--
/*
*/
;
;;
SELECT
INSERT INTO
VALUES
FORMAT
SETTINGS
INTO OUTFILE 'x'
FROM INFILE 'x'
file('/etc/passwd')
url('http://x')
numbers(10)
NULL
nan
1e999
-9223372036854775809
toTypeName(
CAST(1 AS
Nullable(
Array(
Tuple(
Map(
DESCRIBE
SHOW TABLES
EXPLAIN AST
WITH x AS
UNION ALL
JOIN
ARRAY JOIN
LIMIT -1
sleep(0.01)
throwIf(1)
generateRandom('a Array(Int8)', 1, 10, 2) LIMIT 3
filename="x"
name=""
_structure
_types
_format
"""
_HEADERS: Final = """
Content-Length: -1
Content-Length: 99999999999
Transfer-Encoding: chunked
Transfer-Encoding: gzip
Content-Encoding: zstd
Content-Encoding: br
Expect: 100-continue
Content-Type: multipart/form-data; boundary=
Content-Type: multipart/form-data
Range: bytes=0-1
Host:
Accept-Encoding: gzip, zstd
"""
_PART: Final = b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 1\r\n--x--\r\n'
_WORDS: Final = (
    *_LINES.strip("\n").encode().split(b"\n"),
    *(line + b"\r\n" for line in _HEADERS.strip("\n").encode().split(b"\n")),
    *(_PART, b"X-ClickHouse-Key: \xc3\xbf\r\n", b"\r\n", b"\n", b"\0", b"(" * 2000),
)


def _request(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _query(text: str, more: str = "") -> str:
    return f"/?query={quote(text)}{more}"


def _form() -> bytes:
    parts = {'name="query"': "SELECT count() FROM t", 'name="t_structure"': "a Int64, s String"}
    text = "".join(
        f"--x\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n" for name, value in parts.items()
    )
    text += '--x\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\tx\n2\ty\n\r\n--x--\r\n'
    return _request("POST", "/", text.encode(), Content_Type="multipart/form-data; boundary=x")


def _chunked() -> bytes:
    head = _request("POST", _query(_INSERT), Transfer_Encoding="chunked")
    return head + b"%x\r\n" % len(_ROWS) + _ROWS + b"\r\n0\r\n\r\n"


SEEDS: Final = (
    _request("GET", _query("SELECT 1", "&default_format=JSONCompact")),
    _request("GET", _query("SELECT {x:UInt8} + 1", "&param_x=7&query_id=q")),
    _request("HEAD", "/ping"),
    _request("POST", "/?wait_end_of_query=1&session_id=s", b"SELECT number FROM numbers(3) FORMAT Native"),
    _request("POST", "/?compress=1", b"SELECT 'abc' FORMAT RowBinary", X_ClickHouse_User="default"),
    _request("POST", _query(f"INSERT INTO {TABLE} FORMAT Native"), _NATIVE),
    _request("POST", "/", f"INSERT INTO {TABLE} VALUES (1, 'x'), (2, 'y')".encode()),
    _request("POST", "/", b"SELECT 1", Accept_Encoding="gzip, deflate, br, zstd, lz4"),
    _form(),
    _chunked(),
    *(
        _request("POST", _query(_INSERT), encode(_ROWS), Content_Encoding=name)
        for name, encode in _ENCODED.items()
    ),
)  # fmt: skip


class Requests:
    """``check`` raises when the endpoint is gone or does not answer good requests any more."""

    def __init__(self, url: str) -> None:
        self._url, self._address = url, (str(urlsplit(url).hostname), urlsplit(url).port or 80)
        self._table, self._good, self._cases = f"good_{uuid.uuid4().hex}", 0, 0
        assert post(url, f"CREATE TABLE {self._table} (n Int64) ENGINE = MergeTree ORDER BY n").status == 200
        self.answered = self.abandoned = 0

    def make(self, numbers: Random) -> bytes:
        """A request in bytes; mostly with a length that fits what came out."""
        case = mutated(numbers, SEEDS, _WORDS)
        return _fitted(case) if numbers.random() < 0.7 else case

    def check(self, case: bytes) -> None:
        """One request on a connection of its own; after some, a good one."""
        self._cases += 1
        if self._send(case):
            self.answered += 1
        else:
            self.abandoned += 1
        if self._cases % GOOD_EVERY == 0:
            self._good_one()

    def finish(self) -> None:
        """Every good row is there, once."""
        self._good_one()
        found = post(self._url, f"SELECT count(), uniqExact(n), max(n) FROM {self._table} FORMAT TSV").body
        assert found == b"%d\t%d\t%d\n" % (self._good, self._good, self._good), (found, self._good)

    def _send(self, case: bytes) -> bool:
        """Whether anything came back, or the connection was ended, before the patience was over."""
        with socket.create_connection(self._address, 60) as connection:
            connection.settimeout(PATIENCE_S)
            try:
                connection.sendall(case)
                connection.recv(65536)
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return True

    def _good_one(self) -> None:
        self._good += 1
        answer = post(self._url, f"INSERT INTO {self._table} VALUES ({self._good})")
        assert answer.status == 200, answer
        assert http_request("GET", f"{self._url}/ping").body == b"Ok.\n"
        # A damaged statement may have been a good one to drop the table.
        assert post(self._url, _CREATE).status == 200


def _fitted(case: bytes) -> bytes:
    head, end, body = case.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    if body and b"transfer-encoding" not in head.lower():
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + end + body


def of_ones_own() -> Requests:
    """Against an endpoint that ends with this process."""
    return Requests(start_clickhouse(Path(tempfile.mkdtemp()) / "data").url)
