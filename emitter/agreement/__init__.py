"""Ranks agree on the step at which a command is run, or that it is not run at all.

``words`` is what they write to the store they share, ``rounds`` the protocol, ``gate`` where it meets the
training thread. These three are pure: the test that searches all their interleavings runs the same code.
``clients`` reaches stores of ``torch.distributed``, ``host`` finds the one in use, ``member`` and ``leader``
are the background threads, ``group`` joins them to the commands of a session.
"""
