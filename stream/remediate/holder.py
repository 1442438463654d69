"""The arbiter's place in a worker: it reads the log on, and brings what was decided into its final form."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Command
from stream.progress import Place, Progress
from stream.records import BadRecordError, Incoming, Outgoing
from stream.remediate import decisions, reports
from stream.remediate.arbiter import Arbiter
from stream.remediate.build import expires_ns
from stream.remediate.decisions import Decision, Sign
from stream.remediate.settings import Settings
from stream.remediate.turn import Made

log = logging.getLogger(__name__)


class Holder:
    """Holds the arbiter while this worker holds the log. ``now``: the wall clock in nanoseconds.

    Without ``sign`` no command leaves; the policy then says that there is no key (``Settings.can_sign``).
    ``decided`` and ``sent`` count decisions by kind, and commands by action.
    """

    def __init__(self, settings: Settings, sign: Sign | None, now: Callable[[], int]) -> None:
        self.settings, self._sign, self._now = settings, sign, now
        self.arbiter: Arbiter | None = None
        self._progress = Progress()
        self.decided: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget everything once another worker holds the log."""
        if 0 not in set(partitions):
            self.arbiter, self._progress = None, Progress()

    def place(self, record: Incoming) -> Place:
        """Where this record stands; ``AFTER_GAP`` for the first one: what was before it has to be read."""
        place = self._progress.place(record)
        return Place.AFTER_GAP if self.arbiter is None and place is Place.NEXT else place

    def begin(self, before: Sequence[Incoming], keep_breaker: bool) -> None:
        """Begin with what the log held before; ``keep_breaker``: the broker lost its log, we did not."""
        old, self.arbiter = self.arbiter, Arbiter(self.settings)
        if keep_breaker and old is not None:
            self.arbiter.state.tripped = old.state.tripped
            self.arbiter.state.silences = old.state.silences
            self.arbiter.state.modes = old.state.modes
        for record in before:
            try:
                report = reports.decode(record.value)
                if report is not None:
                    self.arbiter.take(report)
            except Exception as error:  # noqa: BLE001 - one that was set aside when it was new is so again
                log.warning("%s@%d: skipped: %s", record.topic, record.offset, error)

    def intent(self, record: Incoming) -> list[Outgoing]:
        """A record of ``remediation.intents``. Raises BadRecordError."""
        try:
            report = reports.decode(record.value)
        except reports.ReportError as error:
            raise BadRecordError(str(error)) from None
        if report is None or self.arbiter is None:
            return []
        return [out for made in self.arbiter.take(report) for out in self._write(made)]

    def _write(self, made: Made) -> list[Outgoing]:
        if isinstance(made, Decision):
            self.decided[made.decision] += 1
            return [decisions.record(made)]
        if isinstance(made, Command):
            return self._command(made)
        return [made]

    def _command(self, command: Command) -> list[Outgoing]:
        if self._sign is None or expires_ns(command) <= self._now():
            return []  # an expired one: the log is read late, and nobody could obey it any more
        self.sent[command.action] += 1
        value = command.encode()
        headers = [*cloudevents.HEADERS, *self._sign(value)]
        return [Outgoing(topics.REMEDIATION_COMMANDS, value, command.run.encode(), headers=headers)]
