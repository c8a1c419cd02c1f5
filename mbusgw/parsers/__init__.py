"""Floor 3: from a radio telegram to records, by our own decoder or a web API."""
