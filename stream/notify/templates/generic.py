"""Generic JSON: the notice as it is; with a secret, signed in a header as GitHub's web hooks are."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict
from typing import Final

from emitter.vocabulary import cloudevents
from stream.notify.config import Hook
from stream.notify.notice import Notice
from stream.notify.templates.post import Post

SIGNATURE: Final = "X-Trainwarden-Signature-256"


class Generic:
    """``{"id", "event", "title", "summary", "run", ...}``; keys are only ever added."""

    def __init__(self, hook: Hook) -> None:
        self._secret = hook.secret

    def write(self, notice: Notice, now_s: float) -> Post:
        """The request."""
        data = {"version": 1, **asdict(notice), "title": notice.title, "cure": notice.cure}
        body = cloudevents.dumps(data).encode()
        if self._secret is None:
            return Post(body)
        digest = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        return Post(body, {SIGNATURE: f"sha256={digest}"})

    def check(self, body: bytes) -> None:
        """Any answer will do."""
