"""Path-like fields of foreign documents, resolved before anybody opens them.

Every field that names a file or folder goes through `resolve`: the result lies inside the source or the field is
refused with a number (docs/errors). Symlinks are refused where files are laid out for a tool (layout.py).
"""

from __future__ import annotations

import posixpath
import re

from knarr.pipeline.errors import Rejected, rejected

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://|[^/]*@)|[A-Za-z][A-Za-z0-9+.-]*::")
_SCP = re.compile(r"[^/@\s]+@[^/:\s]+[:/]")
_HOSTS = re.compile(
    r"(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org|dev\.azure\.com|ssh\.dev\.azure\.com)[/:]|gh:", re.IGNORECASE
)
_REPO_QUERY = re.compile(r"\?(?:.*&)?(?:ref|version|submodules|timeout)=")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def resolve(folder: str, reference: str, field: str, origin: str) -> str:
    """`reference`, relative to `folder`, as a path of the source. `field` is named in the refusal.

    Raises Rejected: KNR2301 leaves the source, KNR2302 absolute, KNR2303 remote, KNR2310 not a usable name.
    """
    shown = reference[:120]
    if not reference or "\x00" in reference or "\n" in reference or len(reference) > 4096:
        raise _refused("KNR2310", f"{field}: {shown!r} is no usable path", origin)
    if is_remote(reference):
        raise _refused("KNR2303", f"{field}: {without_credentials(shown)!r} is an address, not a path", origin)
    if reference.startswith(("/", "~")) or _DRIVE.match(reference) or "\\" in reference:
        raise _refused("KNR2302", f"{field}: {shown!r} is absolute or has a backslash", origin)
    path = posixpath.normpath(posixpath.join("/" + folder if folder else "/", reference))
    if _climbs_out(folder, reference):
        raise _refused("KNR2301", f"{field}: {shown!r} leaves the source", origin)
    return path.lstrip("/")


def is_remote(reference: str) -> bool:
    """Whether a tool could take it for an address: URL, scp form, known hosts, repository queries."""
    return any(p.match(reference) for p in (_URL, _SCP, _HOSTS)) or _REPO_QUERY.search(reference) is not None


def without_credentials(reference: str) -> str:
    """The address without user info and query, for messages."""
    return re.sub(r"\?.*$", "", re.sub(r"(://|^)[^/@]*@", r"\1", reference))


def _climbs_out(folder: str, reference: str) -> bool:
    depth = len([part for part in folder.split("/") if part])
    for part in reference.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False


def _refused(code: str, message: str, origin: str) -> Rejected:
    return rejected(code, message, origin=origin)
