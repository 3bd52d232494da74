"""What libgit2 asks while it talks to a remote: who we are, whether to trust the host, whether to go on."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import CredentialType

from knarr.pipeline.errors import rejected, retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to log in to a Git host. Secret. Password (or token) for https; private key for ssh."""

    username: str = ""
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long one talk may take and how much it may bring."""

    deadline_seconds: float = 120.0
    fetch_bytes: int = 2 * 1024**3


class Talk(pygit2.RemoteCallbacks):
    """One talk with one remote. Raises numbered errors through libgit2."""

    def __init__(self, host: str, login: Login | None, bounds: Bounds, stop: threading.Event) -> None:
        super().__init__()
        self._host = host
        self._login = login
        self._bounds = bounds
        self._stop = stop
        self._end = time.monotonic() + bounds.deadline_seconds
        self._asked = 0

    def certificate_check(self, certificate: None, valid: bool, host: bytes | str) -> bool:
        """libgit2's own default accepts every SSH host key, and follows a first redirect to whatever host it names."""
        name = host.decode("utf-8", "replace") if isinstance(host, bytes) else host
        if name.strip("[]").lower() != self._host:
            raise rejected("KNR1005", f"the host leads on to {name[:253]}, which the source does not name")
        if valid:
            return True
        raise rejected("KNR1005", f"the key or certificate of {name[:253]} is not trusted")

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.Username | pygit2.UserPass | pygit2.Keypair:
        """Gives the login once; asked again means refused."""
        login = self._login
        if login is None:
            raise rejected("KNR1004", "the repository wants a login, and the source names no credentials")
        username = username_from_url or login.username or "git"
        if allowed_types & CredentialType.USERNAME and not allowed_types & CredentialType.SSH_KEY:
            return pygit2.Username(username)
        self._asked += 1
        if self._asked > 1:
            raise rejected("KNR1004", "the credentials of the source are refused")
        if allowed_types & CredentialType.SSH_KEY and login.private_key:
            return pygit2.KeypairFromMemory(username, None, login.private_key, login.passphrase)
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and login.password:
            return pygit2.UserPass(login.username or "git", login.password)
        raise rejected("KNR1004", "the credentials of the source are not of a kind that the host takes")

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        """Called often while a pack arrives."""
        self.check()
        if stats.received_bytes > self._bounds.fetch_bytes:
            raise rejected("KNR1011", f"the fetch brings more than {self._bounds.fetch_bytes} bytes")

    def sideband_progress(self, string: str) -> None:
        """Text of the server, which is not shown: it is foreign."""
        self.check()

    def check(self) -> None:
        """KNR1007 when the talk takes too long or the process stops."""
        if self._stop.is_set():
            raise retryable("KNR1007", "stopped")
        if time.monotonic() > self._end:
            raise retryable("KNR1007", f"the fetch took more than {self._bounds.deadline_seconds:g} s")
