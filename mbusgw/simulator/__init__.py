"""Floor 3: meters, buses and gateways that do not exist, for tests, demos and people without hardware."""
