"""Whether a webhook was sent by who knows the secret, and how many wrong ones an address may send."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

BODY_BYTES = 1024 * 1024
# Git hosts differ only in the header's name and prefix; all sign the raw body with HMAC-SHA256.
_SIGNATURES = (
    ("x-hub-signature-256", "sha256="),  # GitHub
    ("x-gitea-signature", ""),
    ("x-forgejo-signature", ""),
    ("x-hub-signature", "sha256="),  # Bitbucket
)
_TOKEN = "x-gitlab-token"  # noqa: S105  a header's name; GitLab sends the secret itself


def is_signed(secret: bytes, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether any of the signatures in `headers` (lower-case names) is right. An empty secret signs nothing."""
    if not secret:
        return False
    expected = hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    for name, prefix in _SIGNATURES:
        given = headers.get(name, "")
        if given.startswith(prefix) and hmac.compare_digest(_bytes(given.removeprefix(prefix)), expected):
            return True
    token = headers.get(_TOKEN, "")
    return bool(token) and hmac.compare_digest(_bytes(token), secret)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class WrongLimit:
    """How many wrong requests an address may send: `burst` at once, then `per_second`. Remembers `addresses` of them.

    Only wrong requests cost: a flood of them must not keep right ones from being heard. When too many addresses are
    remembered, the one that was silent longest is forgotten.
    """

    def __init__(self, *, burst: int = 20, per_second: float = 0.5, addresses: int = 1024) -> None:
        self._burst, self._per_second, self._addresses = burst, per_second, addresses
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def is_spent(self, address: str, now: float) -> bool:
        """Whether the address has to wait. `now` in seconds of any steady clock."""
        bucket = self._buckets.get(address)
        return bucket is not None and self._filled(bucket, now) < 1

    def charge(self, address: str, now: float) -> None:
        """The address sent a wrong request."""
        bucket = self._buckets.pop(address, None) or _Bucket(tokens=float(self._burst), at=now)
        self._buckets[address] = _Bucket(tokens=max(0.0, self._filled(bucket, now) - 1), at=now)
        if len(self._buckets) > self._addresses:
            self._buckets.popitem(last=False)

    def _filled(self, bucket: _Bucket, now: float) -> float:
        return min(float(self._burst), bucket.tokens + (now - bucket.at) * self._per_second)
