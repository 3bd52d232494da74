"""`python -m knarr.fetcher`."""

from __future__ import annotations

import sys

from knarr.fetcher.main import main

sys.exit(main())
