"""Posts notices to one hook: again and again while the far end is away, for a bounded time."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, Final

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay
from tenacity.wait import wait_random_exponential

from stream.notify import templates
from stream.notify.config import Hook
from stream.notify.errors import LaterError, RefusedError
from stream.notify.notice import Notice

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_ANSWER_BYTES: Final = 65_536
_LATER: Final = frozenset({408, 425, 429})
_SUCCESS: Final = range(200, 300)

log = logging.getLogger(__name__)


class Sender:
    """Use as an async context manager; ``deliver`` one notice after the other."""

    def __init__(self, hook: Hook, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self.hook = hook
        self._template = templates.of(hook)
        self._growing = wait_random_exponential(multiplier=first_pause_s, max=LONGEST_PAUSE_S)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Sender:
        tls = ssl.create_default_context(cafile=self.hook.ca) if self.hook.ca else True
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.hook.timeout_s),
            connector=aiohttp.TCPConnector(ssl=tls),
            headers={"User-Agent": f"trainwarden/{metadata.version('trainwarden')}"},
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def deliver(self, notice: Notice) -> None:
        """Return once the far end took it. Raises RefusedError, or LaterError when time is up."""
        retrying = AsyncRetrying(
            stop=stop_before_delay(self.hook.give_up_s),
            wait=self._pause,
            retry=retry_if_exception_type(LaterError),
            before_sleep=self._tell,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                await self.once(notice)

    async def once(self, notice: Notice) -> None:
        """One try. Raises RefusedError or LaterError."""
        assert self._session is not None, "use the sender as a context manager"
        post = self._template.write(notice, time.time())
        headers = {
            "Content-Type": "application/json",
            IDEMPOTENCY_KEY: notice.id,
            **post.headers,
            **self.hook.headers,
        }
        try:
            async with self._session.post(
                self.hook.url, data=post.body, headers=headers, allow_redirects=False
            ) as response:
                self._judge(response.status, response.headers, await _beginning(response))
        except asyncio.TimeoutError:
            raise LaterError(f"no answer within {self.hook.timeout_s:g} s") from None
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise LaterError(
                f"TLS: {_reason(error)}; if the far end has a CA of its own, name its file as `ca`"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise LaterError(f"not reached: {_reason(error)}") from None

    def _judge(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if status in _SUCCESS:
            self._template.check(body)
            return
        said = " ".join(body.decode("utf-8", "replace").split())[:200]
        what = f"it answered {status}{f' ({said})' if said else ''}"
        if status in _LATER or status >= 500:
            raise LaterError(what, retry_after(headers.get("Retry-After")))
        cure = "; check the hook's `url`" if status in (301, 302, 307, 308, 404, 405, 410) else ""
        raise RefusedError(f"{what}{cure}")

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after_s if isinstance(error, LaterError) else None
        return max(self._growing(state), asked or 0.0)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "web hook %s (%s): %s; trying again in %.1f s", self.hook.name, self.hook.host, error, pause
        )


def retry_after(text: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds of a Retry-After header, in either of its forms (RFC 9110, 10.2.3); None where it says none."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, TypeError):
        return None


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _ANSWER_BYTES:
            break
    return bytes(body)


def _reason(error: BaseException) -> str:
    """Why, without the address, which may hold the secret."""
    cause: Any = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "strerror", None) or getattr(cause, "reason", None) or cause)
