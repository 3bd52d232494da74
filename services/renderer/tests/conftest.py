"""Makes the hub importable, here and for the attacks on the renderer."""

from __future__ import annotations

import sys
from pathlib import Path

# Tests are no package; what they share is imported by its place in the repository, which is also what mypy calls it.
sys.path.append(str(Path(__file__).parents[3]))
