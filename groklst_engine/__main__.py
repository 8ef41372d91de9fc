"""``python -m groklst_engine``: the command ``groklst``."""

from __future__ import annotations

import sys

from groklst_engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
