"""Which commit a ref means, given what the remote says it has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from knarr.fetcher.core.source import Ref, RefKind
from knarr.pipeline.errors import rejected
from knarr.pipeline.versions import range_of, version_of

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PEELED = "^{}"
_BRANCHES = "refs/heads/"
_TAGS = "refs/tags/"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRef:
    """One line of what the remote advertises. `points_to` is the branch behind a symbolic HEAD."""

    name: str
    sha: str
    points_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to fetch. `name` is a full ref name; empty when only the commit's id is known."""

    name: str
    sha: str


def parse_ref(text: str) -> Ref:
    """A ref as settings write it: empty, `main`, `refs/tags/v1`, `semver:>=1.2`, or a full commit id."""
    if not text:
        return Ref()
    if text.startswith("semver:"):
        return Ref(kind=RefKind.SEMVER, value=text.removeprefix("semver:").strip())
    if text.startswith(_TAGS):
        return Ref(kind=RefKind.TAG, value=text.removeprefix(_TAGS))
    if _SHA.fullmatch(text):
        return Ref(kind=RefKind.COMMIT, value=text)
    return Ref(kind=RefKind.BRANCH, value=text.removeprefix(_BRANCHES))


def check_ref(ref: Ref) -> str:
    """What is wrong with the ref's text; empty when nothing is."""
    match ref.kind:
        case RefKind.DEFAULT:
            return ""
        case RefKind.BRANCH | RefKind.TAG:
            return "" if _is_ref_name(ref.value) else f"{ref.value[:60]!r} is not a name of a {ref.kind.value}"
        case RefKind.COMMIT:
            return "" if _SHA.fullmatch(ref.value) else "a commit is given by its full id, lower-case hex"
        case RefKind.SEMVER:
            return "" if range_of(ref.value) else f"{ref.value[:60]!r} is not a semver range"
    assert_never(ref.kind)


def resolve(ref: Ref, advertised: Iterable[RemoteRef]) -> Target:
    """The commit meant. KNR1002 for an empty repository, KNR1003 when the ref is not there."""
    refs = {r.name: r for r in advertised}
    if not refs:
        raise rejected("KNR1002", "the repository has no commit yet")
    match ref.kind:
        case RefKind.DEFAULT:
            return _default(refs)
        case RefKind.BRANCH:
            return _named(refs, _BRANCHES + ref.value, f"there is no branch {ref.value!r}")
        case RefKind.TAG:
            return _named(refs, _TAGS + ref.value, f"there is no tag {ref.value!r}")
        case RefKind.SEMVER:
            return _highest(refs, ref.value)
        case RefKind.COMMIT:
            return Target(name="", sha=ref.value)
    assert_never(ref.kind)


def _default(refs: dict[str, RemoteRef]) -> Target:
    head = refs.get("HEAD")
    if head is None:
        raise rejected("KNR1003", "the remote's HEAD names a branch that does not exist; set the source's ref")
    branch = head.points_to or next((n for n in sorted(refs) if _is_branch(n) and refs[n].sha == head.sha), "HEAD")
    return Target(name=branch, sha=head.sha)


def _named(refs: dict[str, RemoteRef], name: str, missing: str) -> Target:
    found = refs.get(name + _PEELED) or refs.get(name)
    if found is None:
        raise rejected("KNR1003", missing)
    return Target(name=name, sha=found.sha)


def _highest(refs: dict[str, RemoteRef], wanted: str) -> Target:
    accepts = range_of(wanted)
    if accepts is None:
        raise rejected("KNR1003", f"{wanted[:60]!r} is not a semver range")
    versions = [
        (v, n) for n in refs if _is_tag(n) and (v := version_of(n.removeprefix(_TAGS))) is not None and v in accepts
    ]
    if not versions:
        raise rejected("KNR1003", f"no tag lies in the range {wanted!r}")
    # Build metadata does not order versions; the name decides, so that the answer never depends on the server's order.
    _, name = max(versions, key=lambda found: (found[0].precedence_key, found[1]))
    return _named(refs, name, "")


def _is_branch(name: str) -> bool:
    return name.startswith(_BRANCHES)


def _is_tag(name: str) -> bool:
    return name.startswith(_TAGS) and not name.endswith(_PEELED)


def _is_ref_name(text: str) -> bool:
    """git-check-ref-format, as far as it keeps refspecs and paths safe."""
    if not re.fullmatch(r"[^\x00-\x20\x7f~^:?*\[\\]{1,200}", text) or "@{" in text or "//" in text or ".." in text:
        return False
    parts = text.split("/")
    return all(p and not p.startswith((".", "-")) and not p.endswith((".", ".lock")) for p in parts)
