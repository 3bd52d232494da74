"""Who may say *look*."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from knarr.fetcher.core.webhook import WrongLimit, is_signed

SECRET, BODY = b"secret", b'{"ref": "refs/heads/main"}'
RIGHT = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "headers",
    [
        {"x-hub-signature-256": f"sha256={RIGHT}"},
        {"x-gitea-signature": RIGHT},
        {"x-forgejo-signature": RIGHT},
        {"x-hub-signature": f"sha256={RIGHT}"},
        {"x-gitlab-token": "secret"},
        {"x-hub-signature-256": "sha256=wrong", "x-gitea-signature": RIGHT},
    ],
)
def test_right(headers: dict[str, str]) -> None:
    assert is_signed(SECRET, BODY, headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hub-signature-256": RIGHT},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": "sha256=" + RIGHT.upper()},
        {"x-hub-signature": "sha1=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest()},
        {"x-gitea-signature": ""},
        {"x-gitlab-token": ""},
        {"x-gitlab-token": "sécret\udcff"},
        {"x-gitea-signature": "\udcff" + RIGHT},
    ],
)
def test_wrong(headers: dict[str, str]) -> None:
    assert not is_signed(SECRET, BODY, headers)


def test_a_changed_body_is_wrong() -> None:
    assert not is_signed(SECRET, BODY + b" ", {"x-gitea-signature": RIGHT})


def test_an_empty_secret_signs_nothing() -> None:
    empty = hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    assert not is_signed(b"", BODY, {"x-gitea-signature": empty})
    assert not is_signed(b"", BODY, {"x-gitlab-token": ""})


def test_wrong_ones_cost_and_time_pays_back() -> None:
    limit = WrongLimit(burst=2, per_second=1.0)
    assert not limit.is_spent("a", 0.0)
    limit.charge("a", 0.0)
    limit.charge("a", 0.0)
    assert limit.is_spent("a", 0.5)
    assert not limit.is_spent("b", 0.5)
    assert not limit.is_spent("a", 1.5)


def test_many_addresses_are_not_all_remembered() -> None:
    limit = WrongLimit(burst=1, addresses=2)
    for address in ("a", "b", "c"):
        limit.charge(address, 0.0)
    assert [limit.is_spent(address, 0.0) for address in ("a", "b", "c")] == [False, True, True]
