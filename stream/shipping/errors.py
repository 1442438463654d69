"""ShippingError: a folder, an endpoint or a cursor cannot be used; the message says what to do about it."""

from __future__ import annotations


class ShippingError(Exception):
    """One sentence for the user."""
