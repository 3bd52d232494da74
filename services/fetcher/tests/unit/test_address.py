"""The strict grammar of addresses: what has run code or leaked credentials elsewhere is refused here."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.fetcher.core.address import AddressRules, checked_address, shown
from knarr.pipeline.errors import KnarrError

STRICT = AddressRules()
OPEN = AddressRules(local_paths=True, plain_http=True)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("https://git.example.com/team/fleet.git", "https://git.example.com/team/fleet.git"),
        ("https://git.example.com:8443/a/b", "https://git.example.com:8443/a/b"),
        ("http://127.0.0.1:8080/fleet.git", "http://127.0.0.1:8080/fleet.git"),
        ("ssh://git@git.example.com:2222/team/fleet", "ssh://git@git.example.com:2222/team/fleet"),
        ("git@git.example.com:team/fleet.git", "ssh://git@git.example.com/team/fleet.git"),
        ("https://[2001:db8::1]/a.git", "https://[2001:db8::1]/a.git"),
    ],
)
def test_taken(text: str, taken: str) -> None:
    assert checked_address(text, STRICT) == taken


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c touch% /tmp/pwned",
        "-oProxyCommand=sh",
        "ssh://-oProxyCommand=sh/x",
        "ssh://git@-host/x",
        "git@-oProxyCommand=sh:x",
        "https://user:secret@git.example.com/x",
        "https://token@git.example.com/x",
        "ssh://git:secret@git.example.com/x",
        "http://git.example.com/x",
        "git://git.example.com/x",
        "file:///etc",
        "/etc",
        "https://git.example.com/a b",
        "https://git.example.com/a\nb",
        "https://git.example.com/../x",
        "https://git.example.com/%2e%2e/x",
        "https://git.example.com/-x",
        "https://git.example.com/x?token=1",
        "https://git.example.com/x#y",
        "https://git.example.com",
        "https:///x",
        "",
        "HTTPS://git.example.com/x",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(KnarrError) as raised:
        checked_address(text, STRICT)
    assert raised.value.code == "KNR1009"
    assert "secret" not in str(raised.value)
    assert "token" not in str(raised.value)


@pytest.mark.parametrize("text", ["/srv/fleet", "file:///srv/fleet.git", "http://git.example.com/x"])
def test_taken_where_it_is_allowed(text: str) -> None:
    assert checked_address(text, OPEN) == text


@given(st.text(max_size=80))
def test_any_text_is_taken_or_refused_and_never_shown_raw(text: str) -> None:
    assert shown(text).isprintable()
    with contextlib.suppress(KnarrError):
        taken = checked_address(text, STRICT)
        assert taken.startswith(("https://", "http://", "ssh://"))
        assert not any(c.isspace() for c in taken)


def test_user_info_is_never_shown() -> None:
    assert "s3cret" not in shown("https://user:s3cret@host/path?key=s3cret")
