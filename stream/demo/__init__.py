"""``trainwarden demo``: the whole loop with a real trainer, shown as it happens and verified afterwards.

Reading order: ``fault`` (what goes wrong), ``story`` (what was seen on the topics), ``follow`` (the reader),
``facts`` (what the history says), ``checks`` (every link of the loop; ``supervised`` and ``slow`` for other
faults), ``restarts`` (parts that die on the way), ``screen``, ``play`` (the whole).
"""

from stream.demo.play import run

__all__ = ["run"]
