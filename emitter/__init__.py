"""Trainwarden's emitter: one line in the step loop."""
