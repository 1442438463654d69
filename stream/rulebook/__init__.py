"""The rules in force: one bundle of texts for all workers, changed at a recorded offset."""
