"""Floor 7: puts the house together."""
