"""Snapshots of what diagnose knows of a partition, and where they lie; see docs/recovery.md."""
