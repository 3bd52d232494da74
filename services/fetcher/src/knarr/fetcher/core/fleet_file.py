"""Reads the list of sources out of fleet.yaml, and nothing else of it: the rest is the renderer's.

One wrong entry does not keep the others from being followed. Works on YAML's nodes, which have places, and converts
only what it reads, so that aliases and merges cannot unfold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from knarr.fetcher.core.address import AddressRules, checked_address
from knarr.fetcher.core.refs import check_ref
from knarr.fetcher.core.source import Ref, RefKind, Signers, Source
from knarr.fetcher.core.sshsig import pinned_key
from knarr.pipeline.errors import KnarrError, failure_of, rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import FLEET_SOURCE, SourceName, is_dns_label

FLEET_FILE = "fleet.yaml"
FILE_BYTES = 256 * 1024
_MOST_SOURCES = 500
_KEYS = ("name", "url", "ref", "apps", "path", "paths", "credentials", "signers", "pollInterval", "bounds")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceList:
    """What fleet.yaml lists. `unclear`: names whose entries are wrong; who is followed under them stays.

    `complete` is false when nothing may be concluded from a name's absence.
    """

    sources: tuple[Source, ...] = ()
    unclear: frozenset[str] = frozenset()
    failures: tuple[Failure, ...] = ()
    complete: bool = True


def read_sources(content: bytes, rules: AddressRules) -> SourceList:
    """The sources that fleet.yaml lists besides the fleet itself."""
    try:
        entries = _source_nodes(content)
    except KnarrError as error:
        return SourceList(failures=(failure_of(error),), complete=False)
    found: dict[str, Source] = {}
    unclear: set[str] = set()
    failures: list[Failure] = []
    complete = True
    for node in entries:
        try:
            source = _source(node, rules)
            if source.name in found or source.name == FLEET_SOURCE:
                raise rejected("KNR1022", f"two sources are named {source.name!r}", origin=_place(node))
            found[source.name] = source
        except KnarrError as error:
            failures.append(failure_of(error))
            name = _name_in(node)
            complete = complete and name is not None
            unclear |= {name} if name is not None else set()
    return SourceList(
        sources=tuple(found.values()), unclear=frozenset(unclear), failures=tuple(failures), complete=complete
    )


def _source_nodes(content: bytes) -> list[yaml.Node]:
    if len(content) > FILE_BYTES:
        raise rejected("KNR1020", f"{FLEET_FILE} is larger than {FILE_BYTES} bytes", origin=FLEET_FILE)
    try:
        documents = list(yaml.compose_all(content, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        origin = f"{FLEET_FILE}:{mark.line + 1}:{mark.column + 1}" if mark else FLEET_FILE
        raise rejected("KNR1020", f"not YAML: {error.problem or 'cannot be parsed'}"[:300], origin=origin) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise rejected("KNR1020", f"not YAML: {type(error).__name__}", origin=FLEET_FILE) from error
    for document in documents:
        fields = dict(_fields(document)) if isinstance(document, yaml.MappingNode) else {}
        if _text_or_empty(fields.get("kind")) == "Fleet":
            return _items(fields.get("sources"), "sources")
    raise rejected("KNR1020", f"{FLEET_FILE} holds no Fleet document", origin=FLEET_FILE)


def _items(node: yaml.Node | None, what: str) -> list[yaml.Node]:
    if node is None or _is_null(node):
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise rejected("KNR1020", f"{what} is not a list", origin=_place(node))
    if len(node.value) > _MOST_SOURCES:
        raise rejected("KNR1020", f"{what} has more than {_MOST_SOURCES} entries", origin=_place(node))
    return list(node.value)


def _source(node: yaml.Node, rules: AddressRules) -> Source:
    fields = _mapping(node, _KEYS, "a source")
    name = _text(fields.get("name"), "name", node)
    if not is_dns_label(name):
        raise rejected("KNR1021", f"{name[:80]!r} is not a DNS label", origin=_place(fields["name"]))
    try:
        url = checked_address(_text(fields.get("url"), "url", node), rules)
    except KnarrError as error:
        raise rejected(error.code, error.message, origin=_place(fields.get("url", node))) from error
    ref = _ref(fields.get("ref"))
    if wrong := check_ref(ref):
        raise rejected("KNR1021", f"source {name!r}: {wrong}", origin=_place(fields["ref"]))
    return Source(
        name=SourceName(name),
        url=url,
        ref=ref,
        paths=tuple(_texts(fields.get("paths"), "paths")),
        credentials=_text(fields["credentials"], "credentials", node) if "credentials" in fields else "",
        signers=_signers(fields.get("signers")),
        poll_seconds=_seconds(fields.get("pollInterval")),
    )


def _ref(node: yaml.Node | None) -> Ref:
    if node is None:
        return Ref()
    if isinstance(node, yaml.ScalarNode):
        return Ref(kind=RefKind.BRANCH, value=_text(node, "ref", node))
    fields = _mapping(node, ("branch", "tag", "semver", "commit"), "a ref")
    if len(fields) != 1:
        raise rejected("KNR1021", "a ref is exactly one of branch, tag, semver, commit", origin=_place(node))
    kind, value = next(iter(fields.items()))
    return Ref(kind=RefKind(kind), value=_text(value, kind, node))


def _signers(node: yaml.Node | None) -> Signers:
    ssh: list[str] = []
    openpgp: list[str] = []
    for item in _items(node, "signers"):
        text = _text(item, "signers", item)
        if text.lstrip().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
            openpgp.append(text)
        elif pinned_key(text) is not None:
            ssh.append(text)
        else:
            message = "a signer is `ssh-ed25519 <key> <name>` or an armoured OpenPGP certificate"
            raise rejected("KNR1021", message, origin=_place(item))
    if node is not None and not ssh and not openpgp:
        # An empty list would read as "anybody may sign".
        raise rejected("KNR1021", "signers is empty", origin=_place(node))
    return Signers(ssh=tuple(ssh), openpgp=tuple(openpgp))


def _seconds(node: yaml.Node | None) -> float:
    if node is None:
        return 0.0
    text = _text(node, "pollInterval", node)
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if found is None:
        raise rejected("KNR1021", "pollInterval is a number and one of s, m, h, d", origin=_place(node))
    return float(int(found[1]) * _SECONDS[found[2]])


def _mapping(node: yaml.Node, known: tuple[str, ...], what: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise rejected("KNR1021", f"{what} is not a mapping", origin=_place(node))
    fields: dict[str, yaml.Node] = {}
    for key, value in _fields(node):
        if key not in known:
            message = f"{what} has no key {key[:60]!r}; known: {', '.join(known)}"
            raise rejected("KNR1021", message, origin=_place(value))
        if key in fields:
            raise rejected("KNR1021", f"the key {key!r} is there twice", origin=_place(value))
        fields[key] = value
    return fields


def _fields(node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    for key, value in node.value:
        yield str(key.value) if isinstance(key, yaml.ScalarNode) else "", value


def _texts(node: yaml.Node | None, what: str) -> Iterator[str]:
    for item in _items(node, what):
        yield _text(item, what, item)


def _text(node: yaml.Node | None, what: str, parent: yaml.Node) -> str:
    if node is None:
        raise rejected("KNR1021", f"{what} is missing", origin=_place(parent))
    # Quoted or not, `1.0` and `true` are texts here only if YAML says so.
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str" or not node.value:
        raise rejected("KNR1021", f"{what} is not a text", origin=_place(node))
    return str(node.value)


def _text_or_empty(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _name_in(node: yaml.Node) -> str | None:
    """The name of a wrong entry, if it can be made out: who is followed under it stays."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((n for k, v in _fields(node) if k == "name" and (n := _text_or_empty(v))), None)


def _place(node: yaml.Node) -> str:
    return f"{FLEET_FILE}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
