"""How private repositories are reached: the fetcher's credentials file, and the variables about the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from knarr.fetcher.settings import Network, read_network
from knarr.service.settings import Reader

# Of the caller's environment, these are the fetcher's own settings (docs/operations/sources.md).
NETWORK = ("KNARR_CA_BUNDLE", "KNARR_PROXY", "KNARR_CHART_HOSTS", "KNARR_ALLOW_PLAIN_HTTP", "KNARR_FLEET_SIGNERS_FILE")


def network() -> Network:
    """Those of them that the command line itself needs. KNR6001 with every mistake at once."""
    reader = Reader(os.environ)
    found = read_network(reader, os.environ)
    reader.done()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`name`: the credential of the fleet repository itself; other sources name theirs in fleet.yaml."""

    credentials_file: Path | None = None
    name: str = ""

    def environment(self) -> dict[str, str]:
        """For the fetcher."""
        given = {name: os.environ[name] for name in NETWORK if os.environ.get(name)}
        if self.credentials_file is not None:
            given["KNARR_CREDENTIALS_FILE"] = str(self.credentials_file.resolve())
        if self.name:
            given["KNARR_FLEET_CREDENTIALS"] = self.name
        return given
