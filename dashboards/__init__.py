"""Grafana dashboards, built in Python; the JSON they give lies in ``dashboards/generated``.

Only building needs the SDK. Grafana and the built-in viewer read the JSON.
"""

from __future__ import annotations

try:
    import grafana_foundation_sdk  # noqa: F401  (only to say early what is missing)
except ImportError as error:
    raise ImportError(
        "dashboards: expected the package grafana-foundation-sdk==0.0.21, found none; it needs Python 3.11 or"
        " newer: pip install 'trainwarden[dashboards]'. The JSON in dashboards/generated works without it."
    ) from error
