"""Floor 6: radio telegrams, from the gateway's POST to a reading."""
