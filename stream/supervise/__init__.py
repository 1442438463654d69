"""``trainwarden run``: the watcher outside. Starts a trainer, sees what becomes of it, starts it again.

Reading order: ``keeper`` (a small process between us and the trainer, that leaves no orphan), ``process``
and ``output`` (our side of it), ``pulses`` and ``watching`` (is it getting on?), ``stacks`` and ``clusters``
(where does it hang?), ``ending`` (why did it end?), ``restarts`` and ``checkpoints`` (again? from where?),
``speaker`` and ``orders`` (what we tell, what we are told), ``supervisor`` (all of it together).
"""
