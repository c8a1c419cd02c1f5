"""``python -m mbusgw``."""
from __future__ import annotations

import sys

from mbusgw.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
