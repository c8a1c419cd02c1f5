"""Floor 6: http.server: ingress, probes, state."""
