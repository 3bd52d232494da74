"""The credentials file: who the fetcher is to which Git hosts, and the secrets of webhooks.

Read again whenever it or a file it names has changed. A credential is bound to the addresses under its `urls`, so that
an entry of fleet.yaml cannot send it anywhere else. Values never reach a log or an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from knarr.fetcher.adapters.git.callbacks import Login
from knarr.fetcher.core.address import shown
from knarr.pipeline.errors import rejected

_LOGIN_KEYS = ("username", "password", "privateKey", "passphrase", "knownHosts")
_KEYS = frozenset(("urls", "proxy", *_LOGIN_KEYS, *(f"{key}File" for key in _LOGIN_KEYS)))
_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One login, the addresses it may be shown to, and the proxy on the way there."""

    urls: tuple[str, ...]
    login: Login
    known_hosts: str = ""
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    webhook_secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)


class CredentialsFile:
    """KNR1025 when the file is wrong. Without a path: no credentials."""

    def __init__(self, path: Path | None, default_webhook_secret: bytes = b"") -> None:
        self._path = path
        self._default_secret = default_webhook_secret
        self._content = _Content()
        self._seen: tuple[tuple[str, int, int], ...] = ()
        self._files: tuple[Path, ...] = ()

    def credential(self, name: str, url: str) -> Credential:
        """The credential named, if it is bound to `url`. KNR1023 otherwise."""
        found = self._current().credentials.get(name)
        if found is None:
            raise rejected("KNR1023", f"there is no credential named {name!r}")
        if not any(url == prefix or url.startswith(prefix.rstrip("/") + "/") for prefix in found.urls):
            raise rejected("KNR1023", f"the credential {name!r} is not for {shown(url)}")
        return found

    def known_hosts(self) -> tuple[str, ...]:
        """Lines of known_hosts of all credentials."""
        return tuple(c.known_hosts for c in self._current().credentials.values() if c.known_hosts)

    def webhook_secret(self, source: str) -> bytes:
        """The source's own secret, else the one for all; empty when there is neither."""
        return self._current().webhook_secrets.get(source, self._default_secret)

    def _current(self) -> _Content:
        if self._path is None:
            return self._content
        if not self._seen or self._seen != _stamps(self._files):
            reader = _FileReader(self._path)
            self._content = reader.read()
            self._files = tuple(reader.files)
            self._seen = _stamps(self._files)
        return self._content


def _stamps(files: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    try:
        return tuple((str(f), (s := f.stat()).st_mtime_ns, s.st_ino) for f in files)
    except OSError:
        return ()


class _FileReader:
    """One reading of the file; `files` are those it looked into."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.files = [path]

    def read(self) -> _Content:
        try:
            document = yaml.safe_load(self._path.read_bytes())
        except (OSError, yaml.YAMLError, ValueError) as error:
            # The parser's message would show the lines around the mistake.
            raise rejected("KNR1025", f"{self._path.name} cannot be read: {type(error).__name__}") from None
        document = self._mapping(document or {}, "the file", {"credentials", "webhooks"})
        credentials = self._mapping(document.get("credentials") or {}, "credentials")
        webhooks = self._mapping(document.get("webhooks") or {}, "webhooks")
        return _Content(
            credentials={name: self._credential(name, entry) for name, entry in credentials.items()},
            webhook_secrets={name: self._secret(name, entry) for name, entry in webhooks.items()},
        )

    def _credential(self, name: str, entry: Any) -> Credential:
        fields = self._mapping(entry, f"credential {name!r}", _KEYS)
        urls = fields.get("urls")
        if not isinstance(urls, list) or not urls or not all(isinstance(u, str) and "://" in u for u in urls):
            raise rejected("KNR1025", f"credential {name!r} needs `urls`: the addresses that it is for")
        texts = {key: self._text(fields, key, name) for key in _LOGIN_KEYS}
        login = Login(
            username=texts["username"].strip(),
            password=texts["password"].strip("\r\n"),
            private_key=texts["privateKey"],
            passphrase=texts["passphrase"].strip("\r\n"),
        )
        return Credential(urls=tuple(urls), login=login, known_hosts=texts["knownHosts"], proxy=fields.get("proxy", ""))

    def _secret(self, name: str, entry: Any) -> bytes:
        fields = self._mapping(entry, f"webhook {name!r}", {"secret", "secretFile"})
        return self._text(fields, "secret", name).strip("\r\n").encode()

    def _text(self, fields: Mapping[str, Any], key: str, name: str) -> str:
        inline, file = fields.get(key, ""), fields.get(f"{key}File", "")
        if not isinstance(inline, str) or not isinstance(file, str):
            raise rejected("KNR1025", f"{key} of {name!r} is not a text")
        if not file:
            return inline
        path = self._path.parent / file
        self.files.append(path)
        try:
            if path.stat().st_size > _FILE_BYTES:
                raise rejected("KNR1025", f"{key}File of {name!r} is too large")
            return path.read_text()
        except (OSError, ValueError) as error:
            raise rejected("KNR1025", f"{key}File of {name!r} cannot be read: {type(error).__name__}") from None

    def _mapping(self, value: Any, what: str, known: frozenset[str] | set[str] | None = None) -> dict[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise rejected("KNR1025", f"{what} is not a mapping")
        if known is not None and (unknown := sorted(set(value) - known)):
            raise rejected("KNR1025", f"{what} has no key {unknown[0][:40]!r}")
        return value
