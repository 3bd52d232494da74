"""`continue` tokens: the key after which the next page starts, bound to the filters of the first page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence

from knarr.pipeline.errors import rejected

Key = Sequence[str | int]


def make_token(key: Key, filters: Mapping[str, str]) -> str:
    """Opaque to clients; holds nothing that they did not see."""
    text = json.dumps([_bound(filters), *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(token: str, filters: Mapping[str, str], kinds: tuple[type, ...]) -> tuple[str | int, ...]:
    """The key in `token`. KNR5022 when it was made for other filters or is damaged."""
    try:
        value = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError) as error:
        raise rejected("KNR5022", "the continue token cannot be read") from error
    if not isinstance(value, list) or not value or value[0] != _bound(filters):
        raise rejected("KNR5022", "the continue token was made for another list")
    key = tuple(value[1:])
    if len(key) != len(kinds) or any(type(k) is not kind for k, kind in zip(key, kinds, strict=True)):
        raise rejected("KNR5022", "the continue token holds no such key")
    if any((isinstance(k, int) and not -(2**63) <= k < 2**63) or (isinstance(k, str) and "\0" in k) for k in key):
        raise rejected("KNR5022", "the continue token holds no such key")
    return key


def _bound(filters: Mapping[str, str]) -> str:
    text = json.dumps(sorted((k, v) for k, v in filters.items() if k not in ("continue", "limit")))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
