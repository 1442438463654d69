"""What can be wrong with the input of a backtest.

Exception
 └── BacktestError
      └── LabelsError     the file of labels
"""

from __future__ import annotations


class BacktestError(Exception):
    """A backtest cannot go on; the message is a sentence for the user."""


class LabelsError(BacktestError):
    """The labels cannot be read; the message names file, place, expectation and what came."""
