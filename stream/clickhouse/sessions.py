"""HTTP sessions: `session_id` keeps SET, USE and temporary tables from one request to the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from stream.clickhouse.call import Call
from stream.clickhouse.engine import Handle
from stream.clickhouse.errors import ClickHouseError


@dataclass
class Session:
    """One session; it has a handle of its own only once a statement left something to keep."""

    handle: Handle | None = None
    busy: bool = False
    ends_at: float = 0.0


class Sessions:
    """The sessions of one endpoint; used from the event loop only."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def take(self, call: Call) -> Session | None:
        """The call's session for one request; None where it names none.

        ClickHouseError 373 while another request runs in it, 372 where `session_check` finds none, 202 when
        there are too many.
        """
        if not call.session:
            return None
        self._expire()
        session = self._sessions.get(call.session)
        if session is None:
            session = self._new(call)
        if session.busy:
            raise ClickHouseError(373, f"Session {call.session} is locked by a concurrent client.")
        session.busy = True
        return session

    def _new(self, call: Call) -> Session:
        if call.session_check:
            raise ClickHouseError(372, f"Session {call.session} not found.")
        if len(self._sessions) >= self._most:
            raise ClickHouseError(
                202, f"Too many sessions. Maximum: {self._most}; close some or let them expire"
            )
        return self._sessions.setdefault(call.session, Session())

    def give_back(self, call: Call, session: Session) -> None:
        """The request ended: keep the session for its timeout, or end it where the call asks for that."""
        session.busy = False
        session.ends_at = self._clock() + call.session_timeout_s
        if call.close_session:
            self._end(call.session)

    def close(self) -> None:
        """End all sessions."""
        for name in tuple(self._sessions):
            self._end(name)

    def _expire(self) -> None:
        now = self._clock()
        for name in [name for name, one in self._sessions.items() if not one.busy and one.ends_at < now]:
            self._end(name)

    def _end(self, name: str) -> None:
        session = self._sessions.pop(name)
        if session.handle is not None:
            session.handle.close()
