"""The digest over all app states of one cluster, by which hub and agent find what events missed (I7)."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.pipeline.digest import digest_of
from knarr.pipeline.report import AppDigest, AppState


def state_digest(apps: Iterable[AppDigest]) -> bytes:
    """Over (app, digest, state) in order of app; removed apps do not count."""
    parts: list[bytes] = []
    for one in sorted(apps, key=lambda a: a.app):
        if one.state is not AppState.REMOVED:
            parts += [one.app.encode(), one.digest, one.state.value.encode()]
    return digest_of(parts)
