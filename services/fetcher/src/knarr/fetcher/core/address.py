"""The strict grammar of a source's address (`ext::`, leading hyphens and quoting have run code elsewhere)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from knarr.pipeline.errors import rejected

_HOST = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
_PATH = r"(?P<path>/[A-Za-z0-9._~%+@/-]{1,1000})"
_USER = r"(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]{0,63})"
_HTTP = re.compile(rf"(?P<scheme>https?)://{_HOST}{_PATH}")
_SSH = re.compile(rf"(?P<scheme>ssh)://(?:{_USER}@)?{_HOST}{_PATH}")
_SCP = re.compile(rf"{_USER}@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]{{0,252}}):(?P<path>[A-Za-z0-9._~%+@/-]{{1,1000}})")
_LOCAL = re.compile(r"(?:file://)?(?P<path>/[^\x00-\x1f\x7f]{1,1000})")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """What this installation allows beyond https and ssh."""

    local_paths: bool = False
    plain_http: bool = False  # loopback is always allowed


def checked_address(text: str, rules: AddressRules) -> str:
    """The address in a form that Git takes, `user@host:path` written as ssh://. KNR1009 for anything else."""
    if found := _SCP.fullmatch(text):
        return _checked_path(f"ssh://{found['user']}@{found['host']}/{found['path'].lstrip('/')}", found["path"])
    if found := _HTTP.fullmatch(text):
        if found["scheme"] == "http" and not rules.plain_http and found["host"] not in _LOOPBACK:
            raise rejected("KNR1009", f"{shown(text)} is plain http; use https")
        return _checked_path(text, found["path"])
    if found := _SSH.fullmatch(text):
        return _checked_path(text, found["path"])
    if found := _LOCAL.fullmatch(text):
        if not rules.local_paths:
            raise rejected("KNR1009", f"{shown(text)} is a local path, which this installation does not follow")
        return _checked_path(text, found["path"])
    raise rejected("KNR1009", f"{shown(text)} is not an address that is followed")


def host_of(address: str) -> str:
    """The host of a checked address, lower-case and without brackets; empty for a local path."""
    found = _HTTP.fullmatch(address) or _SSH.fullmatch(address)
    return found["host"].strip("[]").lower() if found else ""


def shown(text: str) -> str:
    """The address as logs and errors may show it: no user info, no query, no control characters, at most 200 long."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    clean = re.sub(r"//[^/@]*@", "//", clean)
    return repr(re.sub(r"[?#].*", "", clean)[:200])


def _checked_path(text: str, path: str) -> str:
    for part in path.split("/"):
        if part in (".", "..") or part.startswith("-") or re.search(r"%(?:2e|2f|00)", part, re.IGNORECASE):
            raise rejected("KNR1009", f"{shown(text)} has a part that is refused: {part[:40]!r}")
    return text
