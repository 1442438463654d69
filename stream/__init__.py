"""The stream side of Trainwarden.

Reading order: ``events`` (what travels between stages), ``otlp`` (how it comes in), ``ingest``,
``diagnose`` with ``rulelang``, ``remediate``, ``sink``, and ``worker``, which alone knows their order.
"""
