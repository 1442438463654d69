"""Telemetry into files, for trainers that reach no network; ``trainwarden ship`` sends them on."""
