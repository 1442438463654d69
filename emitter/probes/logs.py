"""``logging`` -> ``train.log``: INFO and above, of every logger whose level lets the record through."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from emitter import _quiet
from emitter._guard import guard
from emitter._records import DEBUG, ERROR, FATAL, INFO, WARNING
from emitter.vocabulary import events

TRACE_LIMIT = 16384

Emit = Callable[[str, int, Mapping[str, Any]], None]
"""Takes the body, the severity number and the attributes."""


class LogsProbe:
    """Sees records where ``logging`` makes them, and passes them on, but for our own.

    A handler on the root logger would be simpler, but the trainer would notice: with it ``basicConfig``
    does nothing any more, and warnings of an unconfigured logger are no longer printed.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit: Emit | None = emit
        self._before = logging.getLogRecordFactory()

    def start(self) -> None:
        """Listen."""
        self._before = logging.getLogRecordFactory()
        logging.setLogRecordFactory(self._make)

    def stop(self) -> None:
        """Stop listening; where somebody wrapped us, stay in the chain and only pass on."""
        self._emit = None
        if logging.getLogRecordFactory() == self._make:
            logging.setLogRecordFactory(self._before)

    def _make(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._before(*args, **kwargs)
        emit = self._emit
        if emit is not None and record.levelno >= logging.INFO and not _is_ours(record):
            with guard:
                emit(_message(record), severity(record.levelno), _attributes(record))
        return record


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "emitter" or _quiet.is_ours(record.thread)


def severity(level: int) -> int:
    """OpenTelemetry severity number of a level of ``logging``."""
    for floor, number in ((logging.CRITICAL, FATAL), (logging.ERROR, ERROR), (logging.WARNING, WARNING)):
        if level >= floor:
            return number
    return INFO if level >= logging.INFO else DEBUG


def exception_attributes(error: BaseException) -> dict[str, Any]:
    """``exception.*`` of an exception, the end of a long stack trace kept."""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        events.EXCEPTION_TYPE: f"{type(error).__module__}.{type(error).__qualname__}".removeprefix(
            "builtins."
        ),
        events.EXCEPTION_MESSAGE: str(error),
        events.EXCEPTION_STACKTRACE: trace[-TRACE_LIMIT:],
    }


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the format
        text = f"{record.msg} {record.args!r}"
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text}\n{exception_attributes(record.exc_info[1])[events.EXCEPTION_STACKTRACE]}"
    return text


def _attributes(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = {"logger.name": record.name, "code.file.path": record.pathname,
                             "code.line.number": record.lineno}  # fmt: skip
    if record.exc_info and record.exc_info[1] is not None:
        found.update(exception_attributes(record.exc_info[1]))
    return found
