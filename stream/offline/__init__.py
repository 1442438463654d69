"""Recorded data through the rules: no services."""
