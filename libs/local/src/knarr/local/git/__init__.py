"""A real Git host on loopback: bare repositories over smart HTTP and SSH, and the author's side of them.

Called by tests, the demo and `knarr up --demo`. The fetcher is its client and knows nothing of this package.
"""

from __future__ import annotations

from knarr.local.git.repository import Executable, GitRepository, Link
from knarr.local.git.server import GitServer

__all__ = ["Executable", "GitRepository", "GitServer", "Link"]
