"""Grafana dashboards, built in Python; the JSON they give lies in ``dashboards/generated``.

Only building needs the SDK. Grafana and the built-in viewer read the JSON.
"""

from __future__ import annotations

import warnings
from importlib import import_module

try:
    with warnings.catch_warnings():
        # The SDK prefers its v2 dashboards, which Grafana 11 cannot read.
        warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
        for name in ("dashboard", "stat"):  # between them these load every module that warns
            import_module(f"grafana_foundation_sdk.builders.{name}")
except ImportError as error:
    raise ImportError(
        "dashboards: expected the package grafana-foundation-sdk==0.0.21, found none; it needs Python 3.11 or"
        " newer: pip install 'trainwarden[dashboards]'. The JSON in dashboards/generated works without it."
    ) from error
