"""Slack's incoming web hooks: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.

``text`` is what notifications on a phone show, ``blocks`` what stands in the channel. A section takes 3000
characters, a header 150 (https://docs.slack.dev/reference/block-kit/blocks).
"""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.notify.config import Hook
from stream.notify.notice import Notice
from stream.notify.templates.post import Post, short

_SIGNS: Final = {
    "critical": ":red_circle:",
    "warning": ":large_orange_circle:",
    "info": ":large_blue_circle:",
}


class Slack:
    """Message blocks."""

    def __init__(self, hook: Hook) -> None:
        pass

    def write(self, notice: Notice, now_s: float) -> Post:
        """The request."""
        sign = _SIGNS.get(notice.severity or "", ":bell:")
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": short(notice.title, 150)}},
            _section(f"{sign} {escape(notice.summary)}" if notice.summary else sign),
        ]
        if notice.cure:
            blocks.append(_section(f"`{escape(notice.cure)}`"))
        blocks.append(
            {"type": "context", "elements": [{"type": "mrkdwn", "text": short(_context(notice), 2000)}]}
        )
        text = short(escape(": ".join(filter(None, (notice.title, notice.summary)))), 3000)
        return Post(cloudevents.dumps({"text": text, "blocks": blocks}).encode())

    def check(self, body: bytes) -> None:
        """It answers ``ok``; what it does not take has another status."""


def escape(text: str) -> str:
    """The three characters that mean something in Slack's markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": short(text, 3000)}}


def _context(notice: Notice) -> str:
    parts = [
        f"run {notice.run}, attempt {notice.attempt}" if notice.run else "",
        f"rule {notice.rule}" if notice.rule else "",
        f"incident {notice.incident}" if notice.incident else "",
        notice.time,
        f"{notice.held_back} more held back" if notice.held_back else "",
    ]
    return escape(" · ".join(filter(None, parts)))
