"""Floor 6: the broker and Home Assistant. The home of paho."""
