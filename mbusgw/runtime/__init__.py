"""Floor 1: threads, time, logs, metrics. The only place that starts a thread."""
