"""One template for each kind of far end: what to post, and what its answer means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from stream.notify.config import Hook
from stream.notify.templates import alertmanager, feishu, generic, slack
from stream.notify.templates.post import Post, Template

__all__ = ["Post", "Template", "of"]


def of(hook: Hook) -> Template:
    """The template of this hook."""
    return _MAKERS[hook.kind](hook)


_MAKERS: Final[Mapping[str, Callable[[Hook], Template]]] = {
    "json": generic.Generic,
    "slack": slack.Slack,
    "feishu": feishu.Feishu,
    "lark": feishu.Feishu,
    "alertmanager": alertmanager.Alerts,
    "alertmanager-webhook": alertmanager.Webhook,
}
