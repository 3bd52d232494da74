"""The fleet repository that an installation follows, as far as `knarr up` has to know it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pygit2

from knarr.cli.install.access import Access, network
from knarr.fetcher.adapters.credentials import CredentialsFile
from knarr.fetcher.adapters.git.bare import BareMirror
from knarr.fetcher.adapters.git.callbacks import Bounds
from knarr.fetcher.adapters.git.process import configure_libgit2, trust_hosts
from knarr.fetcher.core.address import AddressRules, checked_address
from knarr.fetcher.core.chart_references import child, composed, text_of
from knarr.fetcher.core.refs import parse_ref
from knarr.fetcher.core.tree import Limits
from knarr.pipeline.errors import rejected, retryable

_FILE = re.compile(rb"clusters/[^/]+\.ya?ml")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlace:
    """Where the fleet's Git is, and the clusters that it documents at its head."""

    url: str
    local: bool
    documented: tuple[str, ...]


def find_fleet(where: str, ref: str = "", access: Access | None = None) -> FleetPlace:
    """A folder below a Git work tree, a bare repository, or a URL. KNR6203 when it is none of them."""
    path = Path(where).expanduser()
    if path.exists():
        found = pygit2.discover_repository(str(path.resolve()))
        if found is None:
            raise rejected("KNR6203", f"{path} is not in a Git repository; `git init` there, commit, and try again")
        repository = pygit2.Repository(found)
        if repository.head_is_unborn:
            raise rejected("KNR6203", f"the repository at {path} has no commit yet")
        return FleetPlace(url=str(Path(found).resolve()), local=True, documented=_documented(repository))
    if "://" not in where and "@" not in where:
        raise rejected("KNR6203", f"{where} is neither a folder nor a URL")
    return FleetPlace(url=where, local=False, documented=_documented_at(where, ref, access or Access()))


def _documented_at(url: str, ref: str, access: Access) -> tuple[str, ...]:
    """As the fetcher will read it, with its own code: the same logins, hosts and refusals. KNR1nnn, KNR6204."""
    way = network()
    address = checked_address(url, AddressRules(plain_http=way.plain_http))
    credentials = CredentialsFile(access.credentials_file)
    found = credentials.credential(access.name, address) if access.name else None
    with tempfile.TemporaryDirectory(prefix="knarr-fleet-") as folder:
        home = Path(folder) / "home"
        configure_libgit2(home, ca_bundle=way.ca_bundle)
        trust_hosts(home, credentials.known_hosts())
        mirror = BareMirror(
            Path(folder) / "fleet.git",
            address,
            "",
            login=found.login if found else None,
            proxy=(found.proxy if found else "") or way.proxy,
            bounds=Bounds(),
            limits=Limits(),
        )
        try:
            tree = mirror.look(parse_ref(ref)).tree_id
            files = {f.path: f.content_id for f in mirror.changes(None, tree).changed if _FILE.fullmatch(f.path)}
            contents = dict(mirror.read(files.values()))
        except (pygit2.GitError, KeyError, OSError) as error:
            raise retryable("KNR6204", f"the fleet repository cannot be read: {type(error).__name__}") from error
        finally:
            mirror.close()
    return _names({path.decode("utf-8", "replace"): contents[content_id] for path, content_id in files.items()})


def _documented(repository: pygit2.Repository) -> tuple[str, ...]:
    tree: Any = repository.head.peel(pygit2.Tree)
    if "clusters" not in tree:
        return ()
    blobs = (entry for entry in tree["clusters"] if isinstance(entry, pygit2.Blob))
    files = {f"clusters/{entry.name}": entry.data for entry in blobs}
    return _names({path: data for path, data in files.items() if _FILE.fullmatch(path.encode())})


def _names(files: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(sorted(_name_in(content) or Path(path).stem for path, content in files.items()))


def _name_in(content: bytes) -> str:
    """The renderer judges the document; here only its name is wanted."""
    name = text_of(child(composed(content), "name"))
    return name[:253]
