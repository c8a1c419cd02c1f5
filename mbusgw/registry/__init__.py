"""Floor 5: what we know now."""
