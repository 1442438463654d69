"""The engine's own configuration: caches, memory, and what a client may not touch.

Clients get no table function, table engine or dictionary that reads or writes files, opens connections or
starts programs, and no setting that names a file.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from stream.clickhouse.limits import Limits

SHADOW_DATABASE: Final = "engine_local"
"""chDB's file-reading overlay database goes under this name, and is dropped after opening."""

QUERY_ID_SETTING: Final = "log_comment"
"""chDB gives queries ids of its own; ours travels in this setting, so that a query can be found again."""

_RIGHTS: Final = (
    "GRANT SHOW, SELECT, INSERT, ALTER, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, dictGet, "
    "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, "
    "SYSTEM FLUSH, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM DROP CACHE, SYSTEM VIEWS ON *.*"
)
_TABLE_ENGINES: Final = (
    *("MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree", "CollapsingMergeTree"),
    *("VersionedCollapsingMergeTree", "CoalescingMergeTree", "Memory", "Null", "Log", "TinyLog", "StripeLog"),
    *("View", "MaterializedView", "Merge", "Buffer", "Join", "Set", "GenerateRandom", "Atomic"),
)
_FILE_SETTINGS: Final = (
    *("format_schema", "format_schema_source", "format_template_row", "format_template_resultset"),
    *("format_template_row_format", "format_template_resultset_format", "allow_introspection_functions"),
)
_CACHES: Final = {
    "mark_cache_size": 1.0,
    "primary_index_cache_size": 0.5,
    "index_mark_cache_size": 0.25,
    "query_condition_cache_size": 0.25,
    "text_index_tokens_cache_size": 0.25,
    "text_index_header_cache_size": 0.1,
    "text_index_postings_cache_size": 0.5,
    "vector_similarity_index_cache_size": 0.0,
}


def write(directory: Path, store: Path, limits: Limits) -> Path:
    """Write the configuration into `directory` for an engine whose data lies in `store`; its main file."""
    directory.mkdir(parents=True, exist_ok=True)
    users = directory / "users.xml"
    users.write_text(_users(limits), encoding="utf-8")
    main = directory / "engine.xml"
    main.write_text(_main(store, users, limits), encoding="utf-8")
    return main


def prepare_store(store: Path) -> None:
    """Let `default` be an ordinary Atomic database: chDB alone would lay a view of all files over it.

    chDB builds that view on the database behind the link `metadata/default`. Were it found, two databases
    would share one set of tables and the engine would abort; `default` makes the link anew by itself.
    """
    metadata = store / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    described = metadata / "default.sql"
    if not described.exists():
        written = described.with_suffix(".new")
        written.write_text(f"ATTACH DATABASE _ UUID '{uuid.uuid4()}'\nENGINE = Atomic\n")
        written.replace(described)
    link = metadata / "default"
    if link.is_symlink():
        link.unlink()


def _element(name: str, value: object) -> str:
    return f"  <{name}>{escape(str(value))}</{name}>\n"


def _main(store: Path, users: Path, limits: Limits) -> str:
    values: dict[str, object] = {
        "users_config": users,
        "default_database": SHADOW_DATABASE,
        "max_server_memory_usage": limits.memory_bytes,
        "user_files_path": f"{store}/user_files/",
        "user_scripts_path": f"{store}/user_scripts/",
        "format_schema_path": f"{store}/format_schemas/",
    }
    values |= {name: int(limits.cache_bytes * share) for name, share in _CACHES.items()}
    return f"<clickhouse>\n{''.join(_element(*item) for item in values.items())}</clickhouse>\n"


def _profile(limits: Limits) -> dict[str, int]:
    """Where chDB's defaults are a local program's, take the server's."""
    return {
        "max_memory_usage": limits.memory_bytes * 4 // 5,
        "implicit_select": 0,
        "allow_introspection_functions": 0,
    }


def _users(limits: Limits) -> str:
    frozen = "".join(f"<{name}><readonly/></{name}>" for name in _FILE_SETTINGS)
    profile = "".join(_element(*item) for item in _profile(limits).items())
    rights = [_RIGHTS, *(f"GRANT TABLE ENGINE ON {engine}" for engine in _TABLE_ENGINES)]
    grants = "".join(_element("query", right) for right in rights)
    return f"""<clickhouse>
  <profiles><default>
  {profile}
  <constraints>{frozen}</constraints>
  </default></profiles>
  <quotas><default></default></quotas>
  <users><default>
  <password></password>
  <networks><ip>::/0</ip></networks>
  <profile>default</profile>
  <quota>default</quota>
  <grants>
{grants}  </grants>
  </default></users>
</clickhouse>
"""
