"""Ctrl-C: the first one asks, the next one insists."""

from __future__ import annotations

import os
import signal

import pytest

from stream.signals import Signals


def test_the_first_signal_interrupts_and_the_next_one_forces() -> None:
    """SIGTERM counts as Ctrl-C; the handlers from before come back."""
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert not signals.forced()
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.forced()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_held_signal_interrupts_at_the_end_of_the_block() -> None:
    """Inside the block it is only noted, whatever the block raises."""
    seen = []

    def block(signals: Signals) -> None:
        with signals.held():
            os.kill(os.getpid(), signal.SIGINT)
            seen.append(signals.requested)
            raise RuntimeError("cancelled")

    with Signals() as signals, pytest.raises(KeyboardInterrupt):
        block(signals)
    assert seen == [True]


def test_a_signal_while_stopping_for_another_reason_forces() -> None:
    """Nothing is raised into an ordered stop."""
    with Signals() as signals:
        signals.stopping()
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.forced()
        assert not signals.requested
