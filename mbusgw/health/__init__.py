"""Floor 6: looks, reports, asks."""
