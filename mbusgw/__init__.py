"""mbusgw: M-Bus and wM-Bus meters to MQTT and Home Assistant, without losing a reading."""

__version__ = "0.1.0"
