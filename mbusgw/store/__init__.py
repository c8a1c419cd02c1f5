"""Floor 5: what we must not forget. The home of SQLite."""
