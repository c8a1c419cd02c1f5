"""Floor 2: wired M-Bus, EN 13757-2 and -3. Plain values in, plain values or our errors out."""
