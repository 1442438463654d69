"""One file for each trainer. Nothing here is imported before the user does it: each needs its library."""
