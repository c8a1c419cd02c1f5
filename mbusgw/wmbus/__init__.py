"""Floor 2: wireless M-Bus and OMS, EN 13757-4 and -7. Plain values in, plain values or our errors out."""
