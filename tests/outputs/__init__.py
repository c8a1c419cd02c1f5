"""Other outputs than MQTT."""
