"""Every setting of ``emitter.init``: one row each. Precedence: argument, environment, default.

A bad argument raises SettingError. A bad environment variable warns and leaves the default, because a
typo in a job script must not end a training run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit

from emitter._guard import logger
from emitter.signing import places
from emitter.vocabulary import stack

SPOOL_OFF: Final = "off"


class SettingError(ValueError):
    """An argument of ``init`` is not what it must be; the message says which, and what was expected."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a string that is not empty")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("an integer >= 0")
    return value


def _count(value: Any) -> int:
    number = _whole(value)
    if number == 0:
        raise ValueError("an integer > 0")
    return number


def _seconds(value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number < float("inf"):
        raise ValueError("a number of seconds > 0")
    return number


def _factor(value: Any) -> float:
    try:
        return _seconds(value)
    except ValueError:
        raise ValueError("a number > 0") from None


_WORDS: Final = {"true": True, "1": True, "yes": True, "on": True,
                 "false": False, "0": False, "no": False, "off": False}  # fmt: skip


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(
        isinstance(word, str) for word in value
    ):
        raise ValueError("names separated by commas, or a list of them")
    return tuple(value)


def _table(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        value = json.loads(value)
    pairs = value.items() if isinstance(value, Mapping) else [(None, None)]
    if not all(isinstance(word, str) for pair in pairs for word in pair):
        raise ValueError("a mapping of logged name to canonical name (JSON in the environment)")
    return dict(value)


def _endpoint(value: Any) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is not None and parts.scheme == "kafka":
        return _kafka(value).rstrip("/")
    if parts is not None and parts.scheme == "file":
        from emitter.files import place

        return place.parse(value).url()
    if parts is None or parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname:
        raise ValueError(
            "http(s)://host:port, grpc(s)://host:port, kafka://host:port[,host:port] or file:FOLDER"
        )
    return str(value).rstrip("/")


def _store(value: Any) -> Any:
    """A store of torch.distributed, or how to reach one."""
    if not isinstance(value, str):
        if not callable(getattr(value, "compare_set", None)):
            raise ValueError("a TCPStore or FileStore of torch.distributed")
        return value
    parts = urlsplit(value.strip())
    tcp = parts.scheme == "tcp" and parts.hostname and parts.port
    if value.strip() != "off" and not tcp and not (parts.scheme == "file" and parts.path):
        raise ValueError("`off`, tcp://host:port, file:/path or a store of torch.distributed")
    return value.strip()


_GPUS: Final = ("node", "own", "off")


def _gpus(value: Any) -> str:
    word = value.strip().lower() if isinstance(value, str) else value
    if word not in _GPUS:
        raise ValueError("`node` (the first rank speaks for all), `own` (each rank for its own) or `off`")
    return str(word)


def _urls(value: Any) -> tuple[str, ...]:
    try:
        found = _names(value)
    except ValueError:
        found = ("",)
    for url in found:
        # Numbers are put in later; a port may be one of them.
        parts = urlsplit(url.replace("{", "").replace("}", ""))
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("URLs such as http://localhost:9400/metrics, or a list of them")
    return found


def _kafka(value: Any) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme != "kafka" or not all(":" in host for host in parts.netloc.split(",")):
        raise ValueError("kafka://host:port[,host:port]")
    return str(value)


def _commands(value: Any) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is not None and parts.scheme in ("http", "https") and parts.hostname:
        return str(value).rstrip("/")
    try:
        return _kafka(value)
    except ValueError as error:
        raise ValueError(f"{error} or http(s)://host:port of a gateway") from None


def _row(parse: Callable[[Any], Any], default: Any, env: str, doc: str) -> Any:
    return field(default=default, metadata={"parse": parse, "env": tuple(env.split()), "doc": doc})


@dataclass(frozen=True)
class Settings:
    """All settings, resolved."""

    run: str | None = _row(
        _text, None, "TRAINWARDEN_RUN", "Name of the run that people see; the script's name without one."
    )
    run_id: str | None = _row(
        _text,
        None,
        "TRAINWARDEN_RUN_ID",
        "Id of the run, one for all ranks and attempts; else the launcher's job id, or name and time.",
    )
    endpoint: str | None = _row(
        _endpoint,
        None,
        stack.ENV_ENDPOINT,
        "Where telemetry goes: `http://` without `/v1/logs`, `grpc://`, `kafka://` or `file:`; else "
        "`OTEL_EXPORTER_OTLP_*`, or a local `trainwarden up`.",
    )
    commands: str | None = _row(
        _commands,
        None,
        stack.ENV_COMMANDS,
        "Where commands come from: `kafka://` brokers or `http(s)://` of a gateway; else a local "
        "`trainwarden up`, else none.",
    )
    allow: tuple[str, ...] | None = _row(
        _names,
        None,
        "TRAINWARDEN_ALLOW",
        "The actions that commands may ask for; all built-in and registered ones without it.",
    )
    trusted_keys: str | None = _row(
        _text,
        None,
        places.ENV_TRUSTED_KEYS,
        "File of the public keys whose commands are obeyed; else that of a local `trainwarden up`, else "
        "`~/.config/trainwarden/trusted_keys`.",
    )
    supervised: bool = _row(
        _flag,
        False,
        "TRAINWARDEN_SUPERVISOR",
        "Somebody starts this trainer again when it ends with code 75; `trainwarden run` says so itself.",
    )
    store: object | None = _row(
        _store,
        None,
        "TRAINWARDEN_STORE",
        "Over what several ranks agree on commands: `tcp://host:port`, `file:/path`, a store of "
        "torch.distributed (argument only), `off`; else the process group's own.",
    )
    rank: int | None = _row(_whole, None, "TRAINWARDEN_RANK", "Global rank; else from the launcher.")
    local_rank: int | None = _row(
        _whole, None, "TRAINWARDEN_LOCAL_RANK", "Rank within the node; else from the launcher."
    )
    world_size: int | None = _row(
        _count, None, "TRAINWARDEN_WORLD_SIZE", "Number of ranks; else from the launcher."
    )
    node_rank: int | None = _row(
        _whole, None, "TRAINWARDEN_NODE_RANK", "Number of this node; else from the launcher."
    )
    attempt_base: int = _row(
        _whole,
        0,
        "TRAINWARDEN_ATTEMPT_BASE",
        "Added to the launcher's own restart count to give `train.attempt`.",
    )
    role: str = _row(
        _text, "trainer", "TRAINWARDEN_ROLE", "What this process is: trainer, actor, critic, rollout, ..."
    )
    service_name: str | None = _row(
        _text, None, "OTEL_SERVICE_NAME", "`service.name` of the resource; the role without one."
    )
    aliases: dict[str, str] | None = _row(  # noqa: RUF009 - never changed after init
        _table, None, "TRAINWARDEN_ALIASES", "Your own metric names: logged name to canonical name."
    )
    resources: bool = _row(_flag, True, "TRAINWARDEN_RESOURCES", "Sample host, process and GPUs.")
    logs: bool = _row(
        _flag, True, "TRAINWARDEN_LOGS", "Send records of `logging`, INFO and above, as `train.log`."
    )
    gpus: str = _row(
        _gpus,
        "node",
        "TRAINWARDEN_GPUS",
        "With `resources`: sample GPUs: `node` (the first rank for all), `own` (each rank its own) or `off`.",
    )
    gpu_events: bool = _row(
        _flag, True, "TRAINWARDEN_GPU_EVENTS", "With `gpus`: send Xid errors as the driver reports them."
    )
    torch_memory: bool = _row(
        _flag, True, "TRAINWARDEN_TORCH_MEMORY", "With `resources`: sample torch's CUDA memory; tell of OOMs."
    )
    oom_dump: str | None = _row(
        _text, None, "TRAINWARDEN_OOM_DUMP", "Folder for a snapshot of torch's memory when CUDA runs out."
    )
    data_wait: bool = _row(
        _flag, True, "TRAINWARDEN_DATA_WAIT", "Measure the loop's wait for torch's DataLoader as `data_time`."
    )
    gc_pauses: bool = _row(
        _flag, True, "TRAINWARDEN_GC_PAUSES", "With `resources`: time the garbage collector's pauses."
    )
    kernel_log: bool = _row(
        _flag,
        True,
        "TRAINWARDEN_KERNEL_LOG",
        "Send the kernel's messages where they are readable, once a node.",
    )
    console: bool = _row(_flag, False, "TRAINWARDEN_CONSOLE", "Send what the process prints, line by line.")
    tail: tuple[str, ...] | None = _row(
        _names,
        None,
        "TRAINWARDEN_TAIL",
        "Files to follow, with `*` and `{rank}`; those without `{rank}` or `{local_rank}` once a node.",
    )
    lines_per_s: int = _row(
        _count, 100, "TRAINWARDEN_LINES_PER_S", "Most lines a second of each file, stream and the kernel."
    )
    scrape: tuple[str, ...] | None = _row(
        _urls,
        None,
        "TRAINWARDEN_SCRAPE",
        "Prometheus text endpoints to pull, such as `http://localhost:9400/metrics`; as with `tail`.",
    )
    scrape_keep: tuple[str, ...] | None = _row(
        _names, None, "TRAINWARDEN_SCRAPE_KEEP", "Names of metrics to keep, with `*`; all without it."
    )
    scrape_s: float = _row(_seconds, 15.0, "TRAINWARDEN_SCRAPE_S", "Seconds between pulls.")
    stacks: bool = _row(
        _flag, True, "TRAINWARDEN_STACKS", "Answer `dump_stacks` commands; send stacks when progress stalls."
    )
    stall_s: float = _row(
        _seconds, 60.0, "TRAINWARDEN_STALL_S", "With `stacks`: shortest time without a step that is a stall."
    )
    stall_factor: float = _row(
        _factor,
        10.0,
        "TRAINWARDEN_STALL_FACTOR",
        "With `stacks`: a stall is also longer than this many usual step times.",
    )
    hooks: bool = _row(_flag, True, "TRAINWARDEN_HOOKS", "Watch uncaught exceptions, exit codes and SIGTERM.")
    heartbeat_s: float = _row(_seconds, 30.0, "TRAINWARDEN_HEARTBEAT_S", "Seconds between heartbeats.")
    resources_s: float = _row(_seconds, 15.0, "TRAINWARDEN_RESOURCES_S", "Seconds between resource samples.")
    flush_s: float = _row(
        _seconds, 0.25, "TRAINWARDEN_FLUSH_S", "Longest time a record waits before it is sent."
    )
    queue_size: int = _row(
        _count,
        16384,
        "TRAINWARDEN_QUEUE_SIZE",
        "Records kept while the endpoint is slow or away; beyond it they are lost and counted.",
    )
    spool: str | None = _row(
        _text,
        None,
        "TRAINWARDEN_SPOOL",
        "Folder on a local disk for what cannot be delivered; a folder of yours in the system's temporary "
        "folder without it; `off` for none.",
    )
    spool_mb: int = _row(
        _count, 256, "TRAINWARDEN_SPOOL_MB", "Most MiB that one process keeps there; then the oldest goes."
    )
    batch_size: int = _row(_count, 512, "TRAINWARDEN_BATCH_SIZE", "Most records in one request.")
    export_timeout_s: float | None = _row(
        _seconds,
        None,
        "TRAINWARDEN_EXPORT_TIMEOUT_S",
        "Longest time one request may take; else `OTEL_EXPORTER_OTLP_TIMEOUT`, else 10 s.",
    )
    shutdown_s: float = _row(
        _seconds,
        5.0,
        "TRAINWARDEN_SHUTDOWN_S",
        "Longest time `shutdown()` and exit may wait for what is left to be sent.",
    )
    disabled: bool = _row(_flag, False, "TRAINWARDEN_DISABLED OTEL_SDK_DISABLED", "`init` does nothing.")


def resolve(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from arguments (None means not given) and the environment. Raises SettingError."""
    environ = os.environ if environ is None else environ
    known = {row.name: row for row in fields(Settings)}
    for name in arguments:
        if name not in known:
            raise SettingError(f"init: unknown argument `{name}`; known are {', '.join(sorted(known))}")
    chosen = {}
    for name, row in known.items():
        value = arguments.get(name)
        chosen[name] = (
            _argument(name, value, row.metadata["parse"])
            if value is not None
            else from_environment(row.metadata["env"], row.metadata["parse"], row.default, environ)
        )
    return Settings(**chosen)


def _argument(name: str, value: Any, parse: Callable[[Any], Any]) -> Any:
    try:
        return parse(value)
    except (TypeError, ValueError) as error:
        raise SettingError(f"init: expected `{name}` to be {_wish(error)}, got {value!r}") from None


def from_environment(
    names: tuple[str, ...], parse: Callable[[Any], Any], default: Any, environ: Mapping[str, str]
) -> Any:
    """The first of these variables that is set and not empty, parsed; the default where it is bad."""
    for name in names:
        value = environ.get(name, "")
        if not value:
            continue
        try:
            return parse(value)
        except (TypeError, ValueError) as error:
            logger.warning(
                "%s: expected %s, got %r; using the default (%s)", name, _wish(error), value, default
            )
            return default
    return default


def _wish(error: Exception) -> str:
    return "JSON" if isinstance(error, json.JSONDecodeError) else str(error)


def table() -> str:
    """The settings as a Markdown table, for docs/emitter.md."""
    lines = ["| argument | environment | default | meaning |", "|---|---|---|---|"]
    for row in fields(Settings):
        names = ", ".join(f"`{name}`" for name in row.metadata["env"])
        default = "" if row.default is None else f"`{row.default}`"
        lines.append(f"| `{row.name}` | {names} | {default} | {row.metadata['doc']} |")
    return "\n".join(lines) + "\n"
