"""Rules against recorded runs: what fires, what it finds, and what it says falsely."""
