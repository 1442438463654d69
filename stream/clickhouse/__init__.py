"""The ClickHouse engine in this process (chDB) behind ClickHouse's HTTP interface."""

from stream.clickhouse.endpoint import run
from stream.clickhouse.errors import EndpointError
from stream.clickhouse.limits import Limits

__all__ = ["EndpointError", "Limits", "run"]
