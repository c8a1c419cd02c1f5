"""Other consumers of readings than MQTT."""
