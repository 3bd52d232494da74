"""`python -m knarr.renderer`."""

from __future__ import annotations

import sys

from knarr.renderer.main import main

if __name__ == "__main__":
    sys.exit(main())
