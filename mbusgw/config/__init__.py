"""Floor 4: what was asked of us."""
