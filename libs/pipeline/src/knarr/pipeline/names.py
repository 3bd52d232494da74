"""Identifiers and the one rule they follow.

A name that reaches a NATS subject, a permission or a label must be a DNS label: a wildcard in a name would open
every cluster's subjects (see docs/adr/0002-accounts.md). Checked wherever a name enters, before anything is minted.
"""

from __future__ import annotations

import re
from typing import NewType

from knarr.pipeline.errors import rejected

AppName = NewType("AppName", str)
ClusterName = NewType("ClusterName", str)
SourceName = NewType("SourceName", str)
RevisionId = NewType("RevisionId", str)
Epoch = NewType("Epoch", str)
ObjectId = NewType("ObjectId", str)

FLEET_SOURCE = SourceName("fleet")
FIELD_MANAGER = "knarr"
OWNER_LABEL = "knarr.dev/app"
WAVE_ANNOTATION = "knarr.dev/wave"
HOOK_ANNOTATION = "knarr.dev/hook"
HOOK_DELETE_ANNOTATION = "knarr.dev/hook-delete-policy"
PRUNE_ANNOTATION = "knarr.dev/prune"  # "keep": never delete this object
REPORTED_LABEL_PREFIX = "reported.knarr.dev/"
AGENT_NAMESPACE = "knarr-system"

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_dns_label(text: str) -> bool:
    """Whether `text` is a DNS label (RFC 1123): at most 63 of a-z, 0-9 and inner hyphens."""
    return _DNS_LABEL.fullmatch(text) is not None


def dns_label(text: str, what: str) -> str:
    """`text` itself, or KNR7002 that says what kind of name it was meant to be."""
    if is_dns_label(text):
        return text
    raise rejected("KNR7002", f"{text[:80]!r} is not a {what} name: use at most 63 of a-z, 0-9 and inner hyphens")


def object_id(group: str, kind: str, namespace: str, name: str) -> ObjectId:
    """`group/Kind/namespace/name`; empty group and namespace stay empty (`/Namespace//shop`).

    The API version is left out: the same object served under another version is the same object.
    """
    return ObjectId(f"{group}/{kind}/{namespace}/{name}")


def split_object_id(identity: str) -> tuple[str, str, str, str]:
    """(group, kind, namespace, name) of an object id."""
    group, kind, namespace, name = identity.split("/", 3)
    return group, kind, namespace, name


def object_words(identity: str) -> str:
    """An object id for people, as kubectl writes it: `Deployment.apps shop/web`. Other texts stay as they are."""
    parts = identity.split("/", 3)
    if len(parts) < 4:
        return identity
    group, kind, namespace, name = parts
    whole = f"{kind}.{group}" if group else kind
    return f"{whole} {namespace}/{name}" if namespace else f"{whole} {name}"
