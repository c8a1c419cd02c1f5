"""Floor 8: what people type."""
