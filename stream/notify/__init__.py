"""Notifications: what remediation decided, told to people through web hooks (docs/notify.md)."""
