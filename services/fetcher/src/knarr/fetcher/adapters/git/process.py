"""libgit2's process-wide settings. Called once by main, and by tests."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel

from knarr.fetcher.adapters.git.gate import trusting

_trusted: dict[str, ssl.SSLContext] = {}


def configure_libgit2(
    home: Path, *, ca_bundle: Path | None = None, connect_seconds: float = 5.0, silence_seconds: float = 20.0
) -> None:
    """Cuts libgit2 off from the machine's configuration, and gives it deadlines. No SSH host is trusted yet."""
    trust_hosts(home, ())
    pygit2.settings.homedir = str(home)
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        # A url.insteadOf or http.proxy of the machine must not change where a source is read from.
        pygit2.settings.search_path[level] = str(home)
    # libgit2 waits for ever by default. Milliseconds.
    pygit2.settings.server_connect_timeout = int(connect_seconds * 1000)
    pygit2.settings.server_timeout = int(silence_seconds * 1000)
    # Mirrors may belong to another user than this process's (a volume's group); nothing in them is ever executed.
    pygit2.settings.owner_validation = False
    _trusted["context"] = trusting(ca_bundle)


def trust() -> ssl.SSLContext:
    """Whose certificates are believed: as `configure_libgit2` was told, else the machine's authorities."""
    if "context" not in _trusted:
        _trusted["context"] = trusting(None)
    return _trusted["context"]


def trust_hosts(home: Path, known_hosts: Iterable[str]) -> None:
    """SSH host keys to trust, as known_hosts lines; all others are refused.

    libgit2 knows one home per process, so the lines of all credentials lie in one file there. They are bound to their
    hosts, which is what a line says.
    """
    folder = home / ".ssh"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = "".join(lines.rstrip("\n") + "\n" for lines in known_hosts if lines.strip())
    written = folder / "known_hosts.new"
    written.write_text(text)
    os.replace(written, folder / "known_hosts")
