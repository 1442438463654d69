"""The fixtures of the viewer's rig."""

from tests.dashboards.rig import empty_history, full_history, history, viewer

__all__ = ["empty_history", "full_history", "history", "viewer"]
