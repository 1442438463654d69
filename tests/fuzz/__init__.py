"""Damaged and random input for everything that reads what others wrote.

``mutation`` makes bytes, ``messages`` makes OTLP messages, a target (``otlp``, ``headers``, ``rule_files``,
``requests``) says what must hold for them, ``campaign`` counts. By hand, for as long as one likes:

    python -m tests.fuzz otlp --seconds 3600
"""
