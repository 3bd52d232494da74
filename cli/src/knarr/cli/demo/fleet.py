"""The demo's Git repository: the example fleet, served over HTTP, and the commits of the story."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from knarr.local.git import GitRepository
from knarr.pipeline.errors import rejected

EXAMPLE = "shop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Commits and tells the fetcher, as a Git host does."""

    git: GitRepository
    webhook_secret: bytes

    async def commit(self, message: str, files: dict[str, str | None], webhook: str = "") -> str:
        """The new commit's id."""
        sha = await asyncio.to_thread(lambda: self.git.commit(dict(files), message=message))
        if webhook:
            await asyncio.to_thread(self._notify, webhook, sha)
        return sha

    def text(self, path: str) -> str:
        """A file at the head."""
        return self.git.files(self.git.head())[path].decode()

    def _notify(self, webhook: str, sha: str) -> None:
        body = f'{{"ref":"refs/heads/main","after":"{sha}"}}'.encode()
        signature = hmac.new(self.webhook_secret, body, hashlib.sha256).hexdigest()
        asked = urllib.request.Request(  # noqa: S310 - our own loopback address
            webhook,
            data=body,
            method="POST",
            headers={"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"},
        )
        with urllib.request.urlopen(asked, timeout=10):  # noqa: S310
            pass


def example_files() -> dict[str, str]:
    """The example fleet of this checkout. KNR6220 when the examples are not there."""
    root = Path(__file__).resolve().parents[5] / "examples" / EXAMPLE
    if not root.is_dir():
        raise rejected("KNR6220", f"the example fleet is not at {root}: run the demo from a checkout")
    return {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}


def fleet_documents(files: dict[str, str]) -> dict[str, str | None]:
    """fleet.yaml and the clusters, without an app."""
    return {name: text for name, text in files.items() if not name.startswith("apps/")}


def cluster_names(files: dict[str, str]) -> tuple[str, ...]:
    """The clusters that the example documents."""
    return tuple(Path(name).stem for name in files if name.startswith("clusters/"))
