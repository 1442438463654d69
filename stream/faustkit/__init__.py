"""Faust as we use it: partitions, consumption and commits; not its producer, windows, tables or web server.

Reading order: ``app`` (the Faust app), ``transport`` (two things Faust gets wrong for us), ``outbox``
(at least once: a record is done when what it led to is on the broker), ``outlet`` (the producer),
``deadletters``, ``preflight`` (broker and
topics), ``health``, ``runner`` (start, signals, stop).

Faust reads ``sys.argv`` when it is imported, so nothing here imports it before ``app.create_app`` is
called in a worker process.
"""

from stream.faustkit.app import create_app

__all__ = ["create_app"]
