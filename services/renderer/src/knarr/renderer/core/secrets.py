"""Secrets in Git: plain text is refused, and what SOPS encrypted is checked without decrypting (I9).

base64 is plain text. No message here holds a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from knarr.bundle.canonical import Object, group_of, id_of
from knarr.pipeline.failure import Failure
from knarr.renderer.core.failures import failure

_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,data:[A-Za-z0-9+/=]*,iv:[A-Za-z0-9+/=]+,tag:[A-Za-z0-9+/=]+,type:[a-z]+\]")
_AGE_RECIPIENT = re.compile(r"age1[a-z0-9]{58}")
_DATA = ("data", "stringData")


def is_secret(manifest: Object) -> bool:
    """Whether the object is a core Secret."""
    return manifest.get("kind") == "Secret" and not group_of(str(manifest.get("apiVersion", "")))


def secret_faults(manifest: Object, origin: str, *, allow_plaintext: bool) -> list[Failure]:
    """KNR2504 for plain data, KNR2512 for broken SOPS metadata."""
    found: list[tuple[str, str]] = []
    sops = manifest.get("sops")
    if sops is not None:
        found += [("KNR2512", message) for message in _sops_faults(manifest, sops)]
    elif is_secret(manifest) and not allow_plaintext:
        keys = sorted(key for field in _DATA for key in _keys(manifest.get(field)))
        if keys:
            found.append(("KNR2504", f"plain data in a Secret: {', '.join(keys[:10])}"))
    return [failure(code, message, object_id=id_of(manifest), origin=origin) for code, message in found]


def _keys(value: Any) -> list[str]:
    """Keys that hold something; an empty value is no secret."""
    return [str(k)[:80] for k, v in value.items() if v not in (None, "")] if isinstance(value, dict) else []


def _sops_faults(manifest: Object, sops: Any) -> Iterator[str]:
    if not isinstance(sops, dict):
        yield "sops is no mapping"
        return
    recipients = sops.get("age")
    if not isinstance(recipients, list) or not recipients:
        yield "sops.age names no recipient: no cluster can decrypt it"
    else:
        yield from _recipient_faults(recipients)
    if not isinstance(sops.get("mac"), str) or not _ENCRYPTED.fullmatch(sops["mac"]):
        yield "sops.mac is missing or broken"
    if not isinstance(sops.get("lastmodified"), str):
        yield "sops.lastmodified is missing"
    plain = sorted(key for field in _DATA for key in _unencrypted(manifest.get(field)))
    if plain:
        yield f"not encrypted: {', '.join(plain[:10])}"


def _recipient_faults(recipients: list[Any]) -> Iterator[str]:
    for number, entry in enumerate(recipients):
        if not isinstance(entry, dict) or not _AGE_RECIPIENT.fullmatch(str(entry.get("recipient", ""))):
            yield f"sops.age[{number}].recipient is no age recipient"
        elif "BEGIN AGE ENCRYPTED FILE" not in str(entry.get("enc", "")):
            yield f"sops.age[{number}].enc holds no age file"


def _unencrypted(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return []
    return [str(k)[:80] for k, v in value.items() if v not in (None, "") and not _ENCRYPTED.fullmatch(str(v))]
