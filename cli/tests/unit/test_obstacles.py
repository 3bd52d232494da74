"""Whether an installation may start agents in what it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from knarr.cli.install.clusters import LocalCluster
from knarr.cli.install.preflight import Found, Known, obstacles_in
from knarr.pipeline.errors import KnarrError, rejected, retryable


def _found(name: str, uid: str = "u1", epoch: str = "", trouble: KnarrError | None = None) -> Found:
    cluster = LocalCluster(name=name, kubeconfig=Path("k"), context=f"ctx-{name}")
    return Found(cluster=cluster, uid="" if trouble else uid, epoch=epoch, trouble=trouble)


def _known(adopt: frozenset[str] = frozenset(), **uids: str) -> Known:
    return Known(epoch="ours", uids=uids, adopt=adopt)


_SILENT = retryable("KNR4012", "no answer")
_FORBIDDEN = rejected("KNR4011", "no")


@pytest.mark.parametrize(
    ("found", "known", "codes"),
    [
        ([_found("new")], _known(), []),
        ([_found("ours", epoch="ours")], _known(ours="u1"), []),
        ([_found("foreign", epoch="theirs")], _known(), ["KNR4006"]),
        ([_found("foreign", epoch="theirs")], _known(frozenset({"foreign"})), []),
        ([_found("foreign", epoch="theirs")], _known(frozenset({"other"})), ["KNR4006"]),
        ([_found("rebuilt", uid="u2")], _known(rebuilt="u1"), ["KNR3020"]),
        ([_found("rebuilt", uid="u2")], _known(frozenset({"rebuilt"}), rebuilt="u1"), []),
        ([_found("silent", trouble=_SILENT)], _known(silent="u1"), []),
        ([_found("closed", trouble=_FORBIDDEN)], _known(), ["KNR4011"]),
        ([_found("a"), _found("b")], _known(), ["KNR6209"]),
        ([_found("a"), _found("b")], _known(frozenset({"a", "b"})), ["KNR6209"]),
        ([_found("a", epoch="x"), _found("b", uid="u2", epoch="y")], _known(b="u9"), ["KNR4006", "KNR4006", "KNR3020"]),
    ],
)
def test_every_obstacle_is_told_and_nothing_else(found: list[Found], known: Known, codes: list[str]) -> None:
    assert [obstacle.code for obstacle in obstacles_in(found, known)] == codes
