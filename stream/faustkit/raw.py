"""Keys and values as Faust's bytes: what they mean is decided by those who read them.

Imports Faust: only for worker processes.
"""

from __future__ import annotations

from typing import Any

import faust


class Raw(faust.Schema):  # type: ignore[misc]  # Faust is untyped here
    """Faust looks for codecs and types at every record."""

    def compile(self, app: Any, **_: Any) -> Any:
        """What makes an event of a message; it cannot fail."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create_event(message.key, message.value, message.headers, message)

        return decode
