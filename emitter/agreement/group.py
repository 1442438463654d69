"""One rank's part in the agreement: joins the commands of a session to the store, the gate and the leader.

Locks: the bell of the Commander guards the gate; nobody talks to the store while holding it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from emitter import _quiet
from emitter._exits import Restart
from emitter._guard import guard, logger
from emitter.agreement import host, ops, rounds
from emitter.agreement import line as lines
from emitter.agreement.clients import BOUND_S
from emitter.agreement.coordination import is_coordinated
from emitter.agreement.driver import drive
from emitter.agreement.gate import Gate, Verdict
from emitter.agreement.leader import Leader, Proposal
from emitter.agreement.line import LEADER, Line
from emitter.agreement.ops import StoreLostError
from emitter.agreement.outbox import Outbox
from emitter.agreement.progress import Progress
from emitter.agreement.words import Message, Vote
from emitter.vocabulary import commands
from emitter.vocabulary.commands import Ack, Command

if TYPE_CHECKING:
    from emitter._commands import Commander
    from emitter._ranks import Identity

LOOK_S: Final = (0.1, 2.0)
"""Between two looks for the store: at first, and at most."""

HOLD_S: Final = rounds.DECISION_S + BOUND_S + 5
"""Longer than everything that the listening thread may try before it knows that the store is lost."""

LEAVE_S: Final = 2.0
"""A loop that has ended gives the store so long for each answer."""


class Group:
    """``arm`` has the next calls of ``step()`` look, and says at which count the look is sure to come."""

    def __init__(
        self,
        commander: Commander,
        identity: Identity,
        store: Any,
        *,
        arm: Callable[[], int],
        count: Callable[[], int],
        progress: Progress,
    ) -> None:
        self._commander, self._identity, self._store = commander, identity, store
        self._arm_step, self._count, self._progress = arm, count, progress
        self._bell = commander.bell
        self._gate = Gate()
        self._armed: Command | None = None
        self._lost = ""
        self._deepness = 0
        self._stop = threading.Event()
        self._line: Line | None = None
        self._outbox: Outbox | None = None
        self._early: list[Ack] = []
        self._thread: threading.Thread | None = None
        self._local: dict[type, Callable[[Any], Any]] = {
            ops.Next: self._next, ops.Arm: self._arm, ops.Learn: self._learn, ops.Fail: self._fail,
            ops.Tell: self._tell, ops.Close: self._close_gate, ops.Lead: self._lead,
        }  # fmt: skip
        leads = identity.rank == LEADER
        self._leader = Leader(identity.world_size, self._local, self._deliver, self._alone) if leads else None

    def start(self) -> None:
        """Look for the store in the background, then listen."""
        if self._leader is not None:
            self._leader.start()
        self._thread = threading.Thread(target=self._serve, name="trainwarden-agreement", daemon=True)
        self._thread.start()

    # The training thread.

    def boundary(self) -> None:
        """At the step boundary: hold, run or go on. Raises Restart where a decision cannot be learnt."""
        self._deepness += 1
        try:
            if self._deepness == 1:
                with self._bell:
                    self._gate.inside = True
            self._pass()
        finally:
            self._deepness -= 1
            if self._deepness == 0:
                with self._bell:
                    self._gate.inside = False

    def due(self) -> bool:
        """Whether a paused loop has something to do; asked for under the bell."""
        return self._gate.due(self._count())

    def _pass(self) -> None:
        held = 0
        while True:
            with self._bell:
                verdict = self._gate.at(self._count())
                if verdict is Verdict.FREE or verdict is Verdict.LATER:
                    if verdict is Verdict.LATER:
                        self._arm_step()
                    # In the same breath: whoever arms now knows that this boundary is left.
                    self._gate.inside = self._deepness > 1
                    return
                if verdict is Verdict.HOLD:
                    held += 1
                    # In slices: a process that was stopped for long has held for one of them.
                    if held > HOLD_S and self._gate.slot is not None:
                        self._gate.fail(self._gate.slot.number, f"no decision within {HOLD_S:g} s")
                    else:
                        self._bell.wait(1.0)
                    continue
                command, slot = self._armed, self._gate.slot
                if verdict is Verdict.RUN:
                    self._armed = None
            if verdict is Verdict.LOST:
                why = slot.lost if slot is not None and slot.lost else "the agreed step was passed"
                self._end_attempt(command, why)
            self._report()
            if command is not None:
                self._run(command)

    def _run(self, command: Command) -> None:
        try:
            self._commander.run_agreed(command)
        except Exception as error:  # noqa: BLE001 - our own bug, while other ranks run the command
            self._end_attempt(command, f"{type(error).__name__}: {error}")

    def _end_attempt(self, command: Command | None, why: str) -> None:
        """Others may have decided otherwise: this rank must not go on."""
        logger.error(
            "rank %d ends this attempt: it answered ready to a command and cannot learn whether ranks run it "
            "(%s); a supervisor restarts the run", self._identity.rank, why,
        )  # fmt: skip
        if command is not None:
            self._commander.finish(command, commands.FAILED, reason=f"store_lost: {why}")
        raise Restart(command)

    # Commands, from the thread that reads them on rank 0.

    def receive(self, command: Command, payload: bytes, headers: Mapping[str, bytes], position: Any) -> None:
        """Spread a command to all ranks. Only the leader has a line to receive one from."""
        if self._leader is not None:
            coordinated = is_coordinated(command.action) and not self._commander.ended(command.id)
            proposal = Proposal(command, Message(payload, dict(headers)), coordinated)
            self._leader.receive(proposal, position)

    def send(self, ack: Ack) -> None:
        """Give an acknowledgement to the leader; from any thread, without waiting."""
        line, outbox = self._line, self._outbox
        if line is None or outbox is None:
            self._early.append(ack)
        else:
            line.short.post(lambda client: outbox.append(client, ack.encode()))

    def _deliver(self, ack: Ack) -> None:
        self._commander.send(ack)

    def _alone(self, message: Message, reason: str) -> None:
        """There are no other ranks to be reached."""
        if not reason:
            self._commander.take(message.payload, message.headers, None)
        else:
            self._commander.turn_away(message.payload, message.headers, reason)

    # The listening thread.

    def _serve(self) -> None:
        _quiet.ours()
        with guard:
            try:
                self._listen()
            except (StoreLostError, RuntimeError) as error:
                self._lose(str(error).splitlines()[0] if str(error) else type(error).__name__)
        _quiet.done()

    def _listen(self) -> None:
        connect = self._find()
        if connect is None:
            return
        me = self._identity
        line = lines.connect(connect, me.run, me.attempt, me.rank)
        self._line = line
        if self._leader is not None:
            self._leader.opened(line)
        keys = lines.meet(line, me.rank)
        self._outbox = Outbox(keys, me.rank)
        if self._leader is not None:
            self._leader.met()
        while self._early:
            self.send(self._early.pop(0))
        drive(rounds.listen(keys, me.rank), self._local, line.waits, line.short, BOUND_S)

    def _find(self) -> host.Connect | None:
        wait_s, said = LOOK_S[0], ""
        while not self._stop.is_set():
            try:
                return host.find(self._store)
            except host.NoStoreError as error:
                if str(error) != said and str(error).startswith("cannot"):
                    logger.warning("%s: commands that ranks have to agree on are refused", error)
                said = str(error)
            self._stop.wait(wait_s)
            wait_s = min(wait_s * 1.5, LOOK_S[1])
        return None

    def _lose(self, reason: str) -> None:
        self._lost = reason
        if self._leader is not None:
            self._leader.lost(f"the store is lost: {reason}")
        if not self._gate.closed:
            logger.warning(
                "the store that ranks agree over is lost (%s): rank %d takes no more commands in this "
                "attempt, training goes on", reason, self._identity.rank,
            )  # fmt: skip

    def _next(self, op: ops.Next) -> bool:
        with self._bell:
            return self._gate.next(op.message)

    def _arm(self, op: ops.Arm) -> Vote:
        """Everything that can be wrong is found here; whoever votes will run the command."""
        mine, refused = self._commander.consider(op.message.payload, op.message.headers)
        if refused:
            return Vote(reason=f"rank {self._identity.rank}: {refused}")
        objection = "" if self._gate.inside else self._progress.objection()
        with self._bell:
            if self._gate.closed:
                objection = rounds.ENDED.format(self._identity.rank)
            if not objection:
                sure = self._arm_step()
                vote = self._gate.arm(op.number, self._count(), sure)
                self._armed = mine
                # A paused loop stands at the boundary already.
                self._bell.notify_all()
                return vote
        if mine is not None:
            self._commander.finish(mine, commands.ABORTED, reason=objection)
        return Vote(reason=objection, gone=self._gate.closed)

    def _learn(self, op: ops.Learn) -> None:
        with self._bell:
            self._gate.learn(op.number, op.decision)
            command = None
            if self._gate.slot is None:
                command, self._armed = self._armed, None
            self._bell.notify_all()
        self._report()
        if command is not None:
            self._commander.finish(command, commands.ABORTED, reason=op.decision.reason)

    def _fail(self, op: ops.Fail) -> None:
        with self._bell:
            self._gate.fail(op.number, op.reason)
            self._bell.notify_all()

    def _tell(self, op: ops.Tell) -> None:
        if op.message.refused:
            self._commander.turn_away(op.message.payload, op.message.headers, op.message.refused)
        else:
            with self._bell:
                position = ("agreement", self._gate.reading)
            self._commander.take(op.message.payload, op.message.headers, position)

    def _lead(self, op: ops.Lead) -> bool:
        with self._bell:
            return self._gate.lead(op.number)

    def _close_gate(self, op: ops.Close) -> tuple[int, int, int]:
        with self._bell:
            return self._gate.close()

    def _report(self) -> None:
        """Rounds that have left the gate are done."""
        with self._bell:
            passed, self._gate.passed = self._gate.passed, []
        line = self._line
        if line is None or line.keys is None:
            return
        for number in passed:
            key = line.keys.done(number, self._identity.rank)
            line.short.post(lambda client, key=key: client.put(key, "1"))  # type: ignore[misc]

    # The end.

    def leave(self) -> None:
        """The loop has ended: what is undecided is aborted, what was decided will not be reached."""
        self._stop.set()
        with self._bell:
            self._gate.closed = True
        line = self._line
        try:
            if line is not None and line.keys is not None:
                everyone = range(self._identity.world_size)
                protocol = rounds.leave(line.keys, self._identity.rank, everyone)
                drive(protocol, self._local, None, line.short, LEAVE_S)
            elif line is not None:
                lines.unmeet(line)
        except StoreLostError as error:
            self._lost = self._lost or str(error)
        self._report()
        command, self._armed = self._armed, None
        if command is not None:
            self._commander.finish(command, commands.ABORTED, reason="ended")

    def close(self, timeout_s: float) -> None:
        """After the last acknowledgement: hand in what waits, for at most this long, and end the threads."""
        line = self._line
        if self._leader is not None:
            self._leader.close(timeout_s if line is not None and not self._lost else 0.0)
            if line is not None and line.keys is not None:
                ending = Outbox(line.keys, self._identity.rank)
                line.short.post(lambda client: ending.append(client, None))
        patience_s = min(timeout_s, 0.2 if self._lost else LEAVE_S)
        if self._thread is not None:
            self._thread.join(patience_s)
        if self._leader is not None:
            self._leader.join(patience_s)
        if line is not None:
            line.short.close(patience_s)
