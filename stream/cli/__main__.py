"""``python -m stream.cli``: how the stack starts its parts."""

from __future__ import annotations

from stream.cli import main

main()
