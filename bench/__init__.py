"""Measurements: always against a peer in the same run, because ratios travel between machines."""
