"""Custom bots of Feishu and Lark: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot.

The signature is the HMAC-SHA256 of nothing under the key ``<timestamp>\\n<secret>``, in base64; the time may
be an hour off at most. The answer's status is 200 also for a refusal: its ``code`` tells.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.notify.config import Hook
from stream.notify.errors import LaterError, RefusedError
from stream.notify.notice import Notice
from stream.notify.templates.post import Post, short

MAX_BYTES: Final = 20_000
"""Of a request."""
_COLORS: Final = {"critical": "red", "warning": "orange", "info": "blue"}
_BUSY: Final = frozenset({11232, 11233, 11247})
"""Codes of "too many messages"."""
_CURES: Final = {
    19021: "check the hook's `secret` and this machine's clock",
    19022: "this machine's address is not on the bot's list",
    19024: "the bot asks for a key word: add Trainwarden to its key words",
    19001: "check the hook's `url`",
}


def sign(timestamp: int, secret: str) -> str:
    """The signature of that second."""
    digest = hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class Feishu:
    """A message card."""

    def __init__(self, hook: Hook) -> None:
        self._secret = hook.secret

    def write(self, notice: Notice, now_s: float) -> Post:
        """The request, signed for this second."""
        for limit in (8_000, 2_000, 500):
            body = cloudevents.dumps(self._message(notice, limit, int(now_s))).encode()
            if len(body) <= MAX_BYTES:
                break
        return Post(body)

    def _message(self, notice: Notice, limit: int, now: int) -> dict[str, Any]:
        color = _COLORS.get(notice.severity or "", "grey")
        facts = [
            f"run {notice.run}, attempt {notice.attempt}" if notice.run else "",
            f"rule {notice.rule}" if notice.rule else "",
            notice.time,
            f"{notice.held_back} more held back" if notice.held_back else "",
        ]
        texts = [notice.summary, notice.cure or "", " · ".join(filter(None, facts))]
        card = {
            "config": {"wide_screen_mode": True},
            "header": {"template": color, "title": _plain(f"Trainwarden: {short(notice.title, 200)}")},
            # Plain text: what a log line holds must not become a link or a mention.
            "elements": [{"tag": "div", "text": _plain(short(text, limit))} for text in texts if text],
        }
        signed = {"timestamp": str(now), "sign": sign(now, self._secret)} if self._secret else {}
        return {**signed, "msg_type": "interactive", "card": card}

    def check(self, body: bytes) -> None:
        """Success is code 0. Raises RefusedError or LaterError."""
        try:
            answer = json.loads(body)
            code = int(answer.get("code", answer.get("StatusCode")))
        except (ValueError, TypeError, AttributeError):
            raise RefusedError(f'expected an answer with a "code", got {body[:200]!r}') from None
        if code == 0:
            return
        said = str(answer.get("msg") or answer.get("StatusMessage") or "")[:200]
        if code in _BUSY:
            raise LaterError(f"code {code}: {said}")
        cure = f"; {_CURES[code]}" if code in _CURES else ""
        raise RefusedError(f"code {code}: {said}{cure}")


def _plain(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}
