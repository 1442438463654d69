"""Why a rule did or did not fire."""
