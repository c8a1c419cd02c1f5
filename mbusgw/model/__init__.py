"""Floor 0: the words everybody shares. Plain frozen values; no threads, no I/O, no foreign library."""
