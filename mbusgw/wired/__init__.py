"""Floor 6: one thread per bus, one per meter."""
