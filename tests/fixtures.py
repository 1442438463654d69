"""Shared fixtures: real parts, started once."""
