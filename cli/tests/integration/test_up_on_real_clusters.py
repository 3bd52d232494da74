"""`knarr up` on real API servers: names, refusals before anything starts, another installation, stop and start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.tests.person import Person, cluster_row, until
from knarr.local.kube import KubeCluster, KubeFleet
from knarr.pipeline.errors import KnarrError

pytestmark = [pytest.mark.kube, pytest.mark.timeout(300)]

KNARR = str(Path(sys.prefix) / "bin" / "knarr")


def _codes(group: BaseExceptionGroup[BaseException]) -> list[str]:
    return sorted(error.code for error in group.exceptions if isinstance(error, KnarrError))


async def test_contexts_of_one_kubeconfig_become_clusters_and_a_restart_goes_on(
    person: Person, two_clusters: list[KubeCluster]
) -> None:
    one, two = two_clusters
    kubeconfig = person.kubeconfig(Kind_One=one, **{"admin@two": two})
    options = person.options(
        kubeconfig, "Kind_One", "admin@two=second", simulate=1, adopt=frozenset({"kind-one", "second"})
    )
    async with person.up(options) as session:
        assert [c.name for c in session.clusters] == ["kind-one", "second", "sim-1"]
        await person.arrives("first", one, two)
        before = (await cluster_row(session, "kind-one"))["generation_applied"]
    assert [await person.value_in(c) for c in two_clusters] == ["first", "first"], "workloads stay when it stops"

    person.commit("second")
    async with person.up(person.options(kubeconfig, "Kind_One", "admin@two=second", simulate=1)) as session:
        await person.arrives("second", one, two)

        async def further() -> bool:
            return int((await cluster_row(session, "kind-one"))["generation_applied"]) > int(before)

        await until("a generation above the last one", further)


async def test_what_is_wrong_with_contexts_is_said_before_anything_starts(
    person: Person, two_clusters: list[KubeCluster]
) -> None:
    one, two = two_clusters
    kubeconfig = person.kubeconfig(dev=one, DEV=two, again=one)

    for contexts, code in ((("Dev",), "KNR6208"), (("dev", "DEV"), "KNR6202")):
        with pytest.raises(KnarrError) as refused:
            async with person.up(person.options(kubeconfig, *contexts)):
                pass
        assert refused.value.code == code
    assert "again, dev" in str(await _refusal(person, kubeconfig, "nowhere")), "it names those that there are"

    both = frozenset({"dev", "again"})
    with pytest.raises(ExceptionGroup) as group:
        async with person.up(person.options(kubeconfig, "dev", "again", adopt=both)):
            pass
    assert _codes(group.value) == ["KNR6209"]
    assert person.said == [], "nothing was started"


async def _refusal(person: Person, kubeconfig: Path, context: str) -> KnarrError:
    with pytest.raises(KnarrError) as refused:
        async with person.up(person.options(kubeconfig, context)):
            pass
    return refused.value


async def test_another_installation_is_refused_until_it_adopts(person: Person, two_clusters: list[KubeCluster]) -> None:
    one, _ = two_clusters
    kubeconfig = person.kubeconfig(dev=one)
    async with person.up(person.options(kubeconfig, "dev", adopt=frozenset({"dev"}))):
        await person.arrives("first", one)

    with pytest.raises(ExceptionGroup) as group:
        async with person.up(person.options(kubeconfig, "dev", state="other")):
            pass
    assert _codes(group.value) == ["KNR4006"]
    assert not (person.folder / "other" / "nats").exists(), "nothing was started"

    person.commit("adopted")
    async with person.up(person.options(kubeconfig, "dev", state="other", adopt=frozenset({"dev"}))):
        await person.arrives("adopted", one)
    async with person.up(person.options(kubeconfig, "dev", state="other")):
        person.commit("still ours")
        await person.arrives("still ours", one)


async def test_a_name_does_not_slip_to_another_cluster(person: Person, two_clusters: list[KubeCluster]) -> None:
    one, two = two_clusters
    kubeconfig = person.kubeconfig(one=one, two=two)
    async with person.up(person.options(kubeconfig, "one=dev", adopt=frozenset({"dev"}))):
        await person.arrives("first", one)

    with pytest.raises(ExceptionGroup) as group:
        async with person.up(person.options(kubeconfig, "two=dev")):
            pass
    assert "KNR3020" in _codes(group.value)
    assert await person.value_in(two) is None

    async with person.up(person.options(kubeconfig, "two=dev", adopt=frozenset({"dev"}))):
        await person.arrives("first", two)


async def test_a_cluster_that_does_not_answer_holds_nobody_up(person: Person, tmp_path: Path) -> None:
    async with KubeFleet(tmp_path / "kube") as fleet:
        here, away = await fleet.start_clusters("here", "away", collector=True)
        kubeconfig = person.kubeconfig(here=here, away=away)
        await away.kill_api_server()
        async with person.up(person.options(kubeconfig, "here", "away")):
            assert any("away does not answer" in line for line in person.said)
            await person.arrives("first", here)
            await away.start_api_server()
            await person.arrives("first", away)


def test_down_asks_and_takes_only_the_namespace_of_the_agents(person: Person, two_clusters: list[KubeCluster]) -> None:
    one, two = two_clusters
    kubeconfig = person.kubeconfig(one=one, two=two)
    state = str(person.folder / "state")
    up = [KNARR, "up", "--fleet", str(person.repository.path), "--kubeconfig", str(kubeconfig), "--state", state]
    up += ["--context", "one", "--context", "two", "--adopt", "one", "--adopt", "two", "--poll", "0.5"]
    with subprocess.Popen(up, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            asyncio.run(person.arrives("first", one, two))
        finally:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "Ctrl-C stops it and leaves the workloads" in output
    assert not _processes_on(state), "no process is left"

    down = [KNARR, "down", "--state", state]
    refused = subprocess.run(down, input="n\n", capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert asyncio.run(_agents_namespace(one)) == 200, "who says no keeps it"
    done = subprocess.run([*down, "--yes"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for cluster in two_clusters:
        assert asyncio.run(_agents_namespace(cluster)) == 404
        assert asyncio.run(person.value_in(cluster)) == "first"


async def _agents_namespace(cluster: KubeCluster) -> int:
    status, _ = await cluster.request("GET", "/api/v1/namespaces/knarr-system")
    return status


def _processes_on(state: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            except OSError:
                continue
            if state.encode() in words:
                found.append(folder.name)
    return found
