"""How private repositories are reached: the fetcher's credentials file, and the variables about the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from knarr.service.settings import Reader

# Of the caller's environment, these are the fetcher's own settings (docs/operations/sources.md).
NETWORK = ("KNARR_CA_BUNDLE", "KNARR_PROXY", "KNARR_CHART_HOSTS", "KNARR_ALLOW_PLAIN_HTTP", "KNARR_FLEET_SIGNERS_FILE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Those of them that the command line itself needs, read as the fetcher reads them."""

    plain_http: bool = False
    chart_hosts: frozenset[str] = frozenset()
    ca_bundle: Path | None = None
    proxy: str = ""

    @staticmethod
    def of_environment() -> Network:
        """KNR6001 for a value that is none, such as a bundle that does not exist."""
        reader = Reader(os.environ)
        bundle = reader.path("KNARR_CA_BUNDLE") if os.environ.get("KNARR_CA_BUNDLE") else None
        if bundle is not None and not bundle.is_file():
            reader.mistake(f"KNARR_CA_BUNDLE names no file: {bundle}")
        found = Network(
            plain_http=reader.flag("KNARR_ALLOW_PLAIN_HTTP"),
            chart_hosts=frozenset(host.lower() for host in reader.words("KNARR_CHART_HOSTS", ())),
            ca_bundle=bundle,
            proxy=reader.text("KNARR_PROXY", ""),
        )
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
