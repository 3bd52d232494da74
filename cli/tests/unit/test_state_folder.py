"""The state folder, and the fleet repository as `knarr up` sees it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from knarr.cli.install.fleet import find_fleet
from knarr.cli.install.identity import Identity
from knarr.cli.install.place import Place, Running
from knarr.local.git import GitRepository
from knarr.pipeline.errors import KnarrError

_RUNNING = Running(api="http://a", page="http://a", token_file="t", pid=1, webhook="w", nats="n")


def test_ports_stay_unless_somebody_took_them(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first = place.ports(("nats", "status"))
    assert place.ports(("nats", "status")) == first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first["nats"]))
        taken.listen()
        second = place.ports(("nats", "status"))
    assert second["status"] == first["status"]
    assert second["nats"] != first["nats"]


def test_ports_of_one_part_do_not_forget_those_of_another(tmp_path: Path) -> None:
    place = Place(tmp_path)
    hub = place.ports(("nats", "status"))
    agents = place.ports(("agents",))
    assert {**place.ports(("nats", "status")), **place.ports(("agents",))} == {**hub, **agents}


def test_a_running_installation_is_found_until_it_withdraws(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.announce(_RUNNING)
    assert place.running() == _RUNNING
    place.withdraw()
    place.withdraw()
    with pytest.raises(KnarrError) as nobody:
        place.running()
    assert nobody.value.code == "KNR6205"


def test_uids_are_kept(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.uids() == {}
    place.keep_uids({"dev": "u1"})
    assert Place(tmp_path).uids() == {"dev": "u1"}


def test_an_identity_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    first = Identity(tmp_path / "keys")
    epoch, trust = first.epoch, first.trust_file.read_bytes()
    again = Identity(tmp_path / "keys")
    assert (again.epoch, again.trust_file.read_bytes()) == (epoch, trust)
    first.service_seed_file("status")
    files = [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert Identity(tmp_path / "other").epoch != epoch


def test_a_fleet_is_a_repository_with_a_commit(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "fleet.git")
    for where in (repository.path, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(KnarrError) as refused:
            find_fleet(str(where))
        assert refused.value.code == "KNR6203"

    repository.commit({"clusters/b.yaml": "name: beta\n", "clusters/a.yml": "x: [", "clusters/readme.md": "", "c": ""})
    found = find_fleet(str(repository.path))
    assert found.local
    assert found.documented == ("a", "beta")


def test_a_fleet_without_cluster_documents_documents_none(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "fleet.git")
    repository.commit({"fleet.yaml": "a: 1\n"})
    assert find_fleet(str(repository.path)).documented == ()
