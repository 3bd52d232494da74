"""The list of sources in fleet.yaml."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.fetcher.core.address import AddressRules
from knarr.fetcher.core.fleet_file import FILE_BYTES, SourceList, read_sources
from knarr.fetcher.core.source import Ref, RefKind, Signers, Source
from knarr.pipeline.names import SourceName

HEAD = "apiVersion: knarr.dev/v1\nkind: Fleet\nname: test\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f alice"
URL = "https://git.example.com/shop.git"


def _read(text: str) -> SourceList:
    return read_sources(text.encode(), AddressRules())


def _one(entry: str) -> SourceList:
    return _read(f"{HEAD}sources:\n- {entry}\n")


def test_a_fleet_without_sources_lists_none() -> None:
    assert _read(HEAD) == SourceList()
    assert _read(HEAD + "sources:\n") == SourceList()
    assert _read(HEAD + "sources: []\n") == SourceList()


def test_everything_that_a_source_can_say() -> None:
    listed = _one(
        json.dumps(
            {
                "name": "shop",
                "url": "git@git.example.com:team/shop.git",
                "ref": {"semver": ">=1.2"},
                "apps": "apps/*",
                "paths": ["apps/**"],
                "credentials": "forge",
                "signers": [KEY, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"],
                "pollInterval": "5m",
            }
        )
    )
    assert not listed.failures
    assert listed.sources == (
        Source(
            name=SourceName("shop"),
            url="ssh://git@git.example.com/team/shop.git",
            ref=Ref(kind=RefKind.SEMVER, value=">=1.2"),
            paths=("apps/**",),
            credentials="forge",
            signers=Signers(ssh=(KEY,), openpgp=("-----BEGIN PGP PUBLIC KEY BLOCK-----\n",)),
            poll_seconds=300.0,
        ),
    )


def test_the_fleet_may_stand_among_other_documents() -> None:
    listed = _read(f"kind: Cluster\nname: c\n---\n{HEAD}sources: [{{name: shop, url: '{URL}', ref: main}}]\n")
    assert [(s.name, s.ref) for s in listed.sources] == [("shop", Ref(kind=RefKind.BRANCH, value="main"))]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (f"{{name: shop, url: '{URL}', branch: main}}", "KNR1021"),
        (f"{{url: '{URL}'}}", "KNR1021"),
        ("{name: shop}", "KNR1021"),
        ("shop", "KNR1021"),
        ("{name: shop, url: 'ext::sh -c id'}", "KNR1009"),
        ("{name: shop, url: 5}", "KNR1021"),
        (f"{{name: Shop, url: '{URL}'}}", "KNR1021"),
        (f"{{name: '*', url: '{URL}'}}", "KNR1021"),
        (f"{{name: fleet, url: '{URL}'}}", "KNR1022"),
        (f"{{name: shop, url: '{URL}', ref: {{branch: a, tag: b}}}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', ref: {{}}}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', ref: {{branch: '--upload-pack=sh'}}}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', ref: {{semver: 'what ever'}}}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', ref: {{commit: abc}}}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', pollInterval: often}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', paths: apps}}", "KNR1020"),
        (f"{{name: shop, url: '{URL}', signers: []}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', signers: [alice]}}", "KNR1021"),
        (f"{{name: shop, url: '{URL}', signers: [ssh-rsa AAAA alice]}}", "KNR1021"),
        (f"{{name: shop, name: shop, url: '{URL}'}}", "KNR1021"),
    ],
)
def test_a_wrong_entry_is_said_with_its_place_and_leaves_the_others(entry: str, code: str) -> None:
    listed = _read(f"{HEAD}sources:\n- {entry}\n- {{name: other, url: '{URL}'}}\n")
    assert [f.code for f in listed.failures] == [code]
    assert listed.failures[0].origin.startswith("fleet.yaml:5:")
    assert [s.name for s in listed.sources] == ["other"]


def test_the_first_of_two_with_one_name_keeps_it() -> None:
    listed = _read(f"{HEAD}sources: [{{name: a, url: '{URL}'}}, {{name: a, url: 'https://evil.example.com/x'}}]\n")
    assert [s.url for s in listed.sources] == [URL]
    assert listed.unclear == {"a"}
    assert listed.complete


def test_a_wrong_entry_whose_name_is_known_is_unclear_and_one_without_makes_all_unclear() -> None:
    assert _one("{name: shop}") == SourceList(
        unclear=frozenset({"shop"}), failures=_one("{name: shop}").failures, complete=True
    )
    assert not _one("5").complete


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "\t",
        "kind: Other\n",
        "",
        "- list\n",
        f"{HEAD}sources: 5\n",
        f"{HEAD}sources: {{}}\n",
        HEAD + "#" * FILE_BYTES,
        "[" * 20_000,
        "\x00",
        f"{HEAD}sources: [{', '.join(['{}'] * 501)}]\n",
    ],
)
def test_what_cannot_be_read_concludes_nothing(text: str) -> None:
    listed = _read(text)
    assert [f.code for f in listed.failures] == ["KNR1020"]
    assert (listed.sources, listed.complete) == ((), False)


def test_an_alias_bomb_takes_no_time() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 20))
    listed = _read(f"{HEAD}l0: &l0 [x]\n{levels}sources: *l19\n")
    assert listed.failures


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_a_numbered_failure(content: bytes) -> None:
    listed = read_sources(content, AddressRules())
    assert listed.complete or listed.failures


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "url", "ref", "x"]), inner),
    max_leaves=10,
)


@given(st.lists(_JSON, max_size=4))
def test_any_entries_are_sources_or_numbered_failures(entries: list[object]) -> None:
    listed = _read(HEAD + "sources: " + json.dumps(entries) + "\n")
    assert len(listed.sources) + len(listed.failures) == len(entries)
