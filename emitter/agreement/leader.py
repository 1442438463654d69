"""What rank 0 does for all: one round after the other, and acknowledgements on their way out."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from emitter import _quiet
from emitter._guard import guard, logger
from emitter.agreement import rounds
from emitter.agreement.clients import BOUND_S, Client
from emitter.agreement.driver import Local, drive
from emitter.agreement.line import Line
from emitter.agreement.ops import StoreLostError
from emitter.agreement.outbox import READ
from emitter.agreement.words import Keys, Message, Vote
from emitter.vocabulary import cloudevents, commands
from emitter.vocabulary.commands import Ack, Command

SEEN: Final = 4096
LAST_ACKS_S: Final = 2.0
"""How long a leader that ends waits for what other ranks have to say about commands that were run."""


@dataclass
class Proposal:
    """A command for all ranks; ``coordinated`` where they have to agree on a step."""

    command: Command
    message: Message
    coordinated: bool


class Leader:
    """``deliver`` takes acknowledgements of other ranks; ``alone`` a command that found no ranks."""

    def __init__(
        self,
        size: int,
        local: Local,
        deliver: Callable[[Ack], None],
        alone: Callable[[Message, str], None],
    ) -> None:
        self._ranks, self._local = range(size), local
        self._deliver, self._alone = deliver, alone
        self._queue: deque[Proposal] = deque()
        self._more = threading.Condition()
        self._seen: OrderedDict[str, Any] = OrderedDict()
        self._busy = ""
        self._sent = self._number = 0
        self._gone = ""
        self._lost = ""
        self._closing = False
        self._ready = False
        self._owed: dict[str, set[int]] = {}
        self._line: Line | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to take commands; what comes before the store is found waits for a while."""
        self._run(self._propose, "trainwarden-agreement-leader")

    def opened(self, line: Line) -> None:
        """The store is there."""
        acks = line.connect()
        with self._more:
            self._line = line
            self._more.notify_all()
        self._run(lambda: self._collect(line, acks), "trainwarden-agreement-acks")

    def lost(self, reason: str) -> None:
        """The store is not there any more, or never was."""
        with self._more:
            self._lost = reason
            self._more.notify_all()

    def receive(self, proposal: Proposal, position: Any) -> None:
        """Queue a command, unless it is the same message read again, or on its way."""
        identity = proposal.command.id
        with self._more:
            if identity in self._seen and self._seen[identity] == position:
                return
            self._seen[identity] = position
            while len(self._seen) > SEEN:
                self._seen.popitem(last=False)
            if self._busy == identity or any(waiting.command.id == identity for waiting in self._queue):
                return
            if not proposal.coordinated:
                self._ahead(proposal)
                return
            self._queue.append(proposal)
            self._more.notify_all()

    def _ahead(self, proposal: Proposal) -> None:
        """Nothing to agree on: not behind what is, a hung rank may be the reason."""
        line = self._line
        if line is None or line.keys is None or self._lost:
            self._alone(proposal.message, "")
        else:
            self._publish(line, line.keys, proposal.message)

    def _publish(self, line: Line, keys: Keys, message: Message) -> None:
        """From any thread, without waiting; whoever holds the lock."""
        with self._more:
            self._sent += 1
            sent = self._sent
        steps = list(rounds.publish(keys, sent, self._ranks, message))
        for op in steps:
            line.short.post(lambda client, op=op: client.put(op.key, op.value))  # type: ignore[misc]

    def close(self, timeout_s: float) -> None:
        """Nothing more is proposed; wait for what other ranks still have to say."""
        with self._more:
            self._closing = True
            waiting, self._queue = list(self._queue), deque()
            self._more.notify_all()
        for proposal in waiting:
            self._alone(proposal.message, rounds.ENDED.format(0))
        end = time.monotonic() + min(timeout_s, LAST_ACKS_S)
        with self._more:
            while self._owed and not self._lost and (left := end - time.monotonic()) > 0:
                self._more.wait(left)

    def join(self, timeout_s: float) -> None:
        """After the last words: the threads end."""
        for thread in self._threads:
            thread.join(timeout_s / len(self._threads))

    def _run(self, work: Callable[[], None], name: str) -> None:
        def quietly() -> None:
            _quiet.ours()
            with guard:
                try:
                    work()
                except StoreLostError as error:
                    self.lost(str(error))
            _quiet.done()

        thread = threading.Thread(target=quietly, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _propose(self) -> None:
        waits: Client | None = None
        while (proposal := self._take()) is not None:
            line = self._line
            reason = self._lost or self._gone
            if line is not None and not reason:
                try:
                    waits = waits or line.connect()
                    reason = self._round(line, waits, proposal)
                except (StoreLostError, RuntimeError) as error:
                    # Whether it was decided is not known: ranks that voted end their attempt.
                    self.lost(f"the store is lost: {error}")
                    reason = "" if line.keys is not None else self._lost
            if reason or line is None:
                self._alone(proposal.message, reason or "no store that all ranks have in common")
            with self._more:
                self._busy = ""

    def _take(self) -> Proposal | None:
        """The next command, once the store is there or has not come for long; None when closing."""
        with self._more:
            while not self._queue and not self._closing:
                self._more.wait()
            if self._closing:
                return None
            proposal = self._queue.popleft()
            self._busy = proposal.command.id
            end = time.monotonic() + rounds.VOTE_S
            while not (self._ready or self._lost or self._closing) and (left := end - time.monotonic()) > 0:
                self._more.wait(left)
            return proposal

    def met(self) -> None:
        """The names in the store are known: proposals can be made."""
        with self._more:
            self._ready = True
            self._more.notify_all()

    def _round(self, line: Line, waits: Client, proposal: Proposal) -> str:
        """Propose, decide, and wait until all have left it. Why not, where nothing was proposed."""
        keys = line.keys
        if keys is None:
            return "rank 0 has not joined yet"
        missing = self._missing(line, keys, waits)
        if missing:
            message = Message(proposal.message.payload, proposal.message.headers, refused=missing)
            self._publish(line, keys, message)
            return ""
        with self._more:
            self._number += 1
            self._sent += 1
            number, sent = self._number, self._sent
        self._expect(proposal.command)
        message = Message(proposal.message.payload, proposal.message.headers, number)
        protocol = rounds.lead(keys, number, sent, self._ranks, message)
        decision = drive(protocol, self._local, waits, line.short, BOUND_S)
        if decision is None:
            return rounds.ENDED.format(0)
        if decision.at is None:
            self._forget(proposal.command.id)
            self._note_gone(line, keys, number)
        self._settle(line, keys, waits, number)
        return ""

    def _missing(self, line: Line, keys: Keys, waits: Client) -> str:
        """Which ranks do not listen, once they had time to."""
        joined = tuple(keys.joined(rank) for rank in self._ranks)
        there = line.short.call(lambda client: client.peek(joined))
        if None in there:
            waits.wait(joined, rounds.VOTE_S)
            there = line.short.call(lambda client: client.peek(joined))
        absent = [str(rank) for rank in self._ranks if there[rank] is None]
        if not absent:
            return ""
        who = f"rank {absent[0]} has" if len(absent) == 1 else f"ranks {', '.join(absent)} have"
        return f"{who} not joined: init() has to run on every rank, with the same run id"

    def _note_gone(self, line: Line, keys: Keys, number: int) -> None:
        """A rank whose loop has ended will refuse every later round: do not ask again."""
        votes = tuple(keys.vote(number, rank) for rank in self._ranks)
        for text in line.short.call(lambda client: client.peek(votes)):
            vote = Vote.decode(text) if text is not None else Vote()
            if vote.gone:
                self._gone = vote.reason

    def _settle(self, line: Line, keys: Keys, waits: Client, number: int) -> None:
        while True:
            protocol = rounds.settle(keys, number, self._ranks)
            late = drive(protocol, self._local, waits, line.short, BOUND_S)
            if not late:
                return
            with self._more:
                waiting, self._queue = list(self._queue), deque()
            for proposal in waiting:
                reason = f"rank {late[0]} has not yet come to the step of the command before"
                self._publish(line, keys, Message(
                    proposal.message.payload, proposal.message.headers, refused=reason,
                ))  # fmt: skip

    def _expect(self, command: Command) -> None:
        ranks = set(self._ranks) - {0}
        if command.target.node is not None:
            return
        if command.target.ranks != "all":
            ranks &= set(command.target.ranks)
        with self._more:
            self._owed[command.id] = ranks

    def _forget(self, command: str) -> None:
        with self._more:
            self._owed.pop(command, None)

    def _collect(self, line: Line, waits: Client) -> None:
        """Acknowledgements of other ranks, in the order they were given in."""
        place = 0
        while line.keys is None:
            with self._more:
                if self._closing or self._lost:
                    return
                self._more.wait(1.0)
        keys = line.keys
        while True:
            place += 1
            name = keys.ack(place)
            waits.wait((name,), None)
            (text,) = line.short.call(lambda client, name=name: client.peek((name,)))  # type: ignore[misc]
            found = json.loads(text or "{}")
            if found.get("end"):
                return
            # The place stays taken; what it held is not needed any more.
            line.short.post(lambda client, name=name: client.put(name, "{}"))  # type: ignore[misc]
            line.short.post(lambda client, place=place: client.put(keys.ack(READ), str(place)))  # type: ignore[misc]
            with guard:
                self._hand_on(base64.b64decode(found["ack"]))

    def _hand_on(self, payload: bytes) -> None:
        try:
            ack = commands.decode_ack(payload)
        except cloudevents.CloudEventError as error:
            logger.warning("ignoring an acknowledgement of another rank: %s", error)
            return
        self._deliver(ack)
        with self._more:
            owed = self._owed.get(ack.command)
            if owed is not None and ack.state in commands.FINAL_STATES:
                owed.discard(ack.rank or 0)
                if not owed:
                    del self._owed[ack.command]
            self._more.notify_all()
