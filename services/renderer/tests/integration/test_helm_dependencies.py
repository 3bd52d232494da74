"""Where a chart's dependencies lie makes no difference to what it renders; without them nothing is rendered."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from knarr.pipeline.chart_lock import LOCK_FILE, ChartLock, ChartReference, LockedChart, lock_to_bytes
from knarr.pipeline.names import FLEET_SOURCE, AppName
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.offline import Offline, Result, offline

REPOSITORY = "https://charts.example.com"
FLEET = {
    "fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\n",
    "clusters/one.yaml": "apiVersion: knarr.dev/v1\nkind: Cluster\nname: one\n",
    "web/knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\nhelm: {values: {first: {size: 7}}}\n",
    "web/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {v: 'x'}\n",
}
SUBCHART = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-{{ .Chart.Name }}'}\n"
    "data: {size: '{{ .Values.size }}', of: '{{ .Chart.Version }}'}\n"
)


def parent(*dependencies: str) -> str:
    return "\n".join(["apiVersion: v2", "name: web", "version: 0.1.0", "dependencies:", *dependencies, ""])


def subchart(folder: str, version: str, name: str = "db", more: str = "") -> dict[str, str]:
    return {
        f"{folder}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}",
        f"{folder}/values.yaml": "size: 1\n",
        f"{folder}/templates/a.yaml": SUBCHART,
    }


def lock(*charts: tuple[str, str]) -> dict[str, str]:
    """(range, version) of every pinned version of `db`."""
    pinned = []
    for wanted, version in charts:
        reference = ChartReference(repository=REPOSITORY, name="db", version=wanted)
        pinned.append(LockedChart(reference=reference, version=version, digest=digest(version)))
    uses = tuple(("web/Chart.yaml", chart.reference) for chart in pinned)
    return {LOCK_FILE: lock_to_bytes(ChartLock(charts=tuple(pinned), uses=uses)).decode()}


def digest(version: str) -> str:
    return version.replace(".", "").rjust(64, "0")


@pytest.fixture
async def renderer(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path / "work") as made:
        yield made


async def rendered(renderer: Offline, folder: Path, files: Mapping[str, str]) -> Result:
    for path, content in {**FLEET, **files}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    return await renderer.render({FLEET_SOURCE: folder_snapshot(folder, FLEET_SOURCE)})


def bundle(result: Result) -> bytes:
    (variant,) = result.revisions[AppName("web")].variants
    assert variant.bundle is not None
    return variant.bundle.digest


def codes(result: Result) -> list[str]:
    return [f.code for f in result.finished[AppName("web")].failures]


async def test_vendored_locked_or_beside_the_same_bundle(renderer: Offline, tmp_path: Path) -> None:
    remote = parent(f"- {{name: db, version: ^1, repository: '{REPOSITORY}'}}")
    vendored = await rendered(
        renderer, tmp_path / "a", {"web/Chart.yaml": remote, **subchart("web/charts/db", "1.0.0")}
    )
    locked = await rendered(
        renderer,
        tmp_path / "b",
        {"web/Chart.yaml": remote, **lock(("^1", "1.0.0")), **subchart(f".knarr/charts/{digest('1.0.0')}", "1.0.0")},
    )
    beside = await rendered(
        renderer,
        tmp_path / "c",
        {"web/Chart.yaml": parent("- {name: db, version: ^1, repository: 'file://../db'}"), **subchart("db", "1.0.0")},
    )
    assert codes(vendored) == codes(locked) == codes(beside) == []
    assert bundle(vendored) == bundle(locked) == bundle(beside)
    assert b"web-db" in vendored.plain[bundle(vendored)]


async def test_one_chart_twice_under_two_aliases(renderer: Offline, tmp_path: Path) -> None:
    files = {
        "web/Chart.yaml": parent(
            f"- {{name: db, version: ^1, repository: '{REPOSITORY}', alias: first}}",
            f"- {{name: db, version: ^2, repository: '{REPOSITORY}', alias: second}}",
        ),
        **lock(("^1", "1.0.0"), ("^2", "2.0.0")),
        **subchart(f".knarr/charts/{digest('1.0.0')}", "1.0.0"),
        **subchart(f".knarr/charts/{digest('2.0.0')}", "2.0.0"),
    }
    result = await rendered(renderer, tmp_path / "a", files)
    plain = result.plain[bundle(result)]
    assert b'"of":"1.0.0","size":"7"' in plain
    assert b'"of":"2.0.0","size":"1"' in plain


async def test_a_chart_beside_brings_its_own_dependencies(renderer: Offline, tmp_path: Path) -> None:
    files = {
        "web/Chart.yaml": parent("- {name: db, repository: 'file://../lib/db'}"),
        **subchart("lib/db", "1.0.0", more="dependencies: [{name: disk, repository: 'file://../disk'}]\n"),
        **subchart("lib/disk", "1.0.0", name="disk"),
    }
    result = await rendered(renderer, tmp_path / "a", files)
    plain = result.plain[bundle(result)]
    assert b'"web-db"' in plain
    assert b'"web-disk"' in plain
    (tmp_path / "a/lib/disk/values.yaml").write_text("size: 99\n")
    again = await renderer.render({FLEET_SOURCE: folder_snapshot(tmp_path / "a", FLEET_SOURCE)})
    assert b'"size":"99"' in again.plain[bundle(again)]


REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("not in the lock", {"web/Chart.yaml": parent(f"- {{name: db, repository: '{REPOSITORY}'}}")}, "KNR2410"),
    (
        "itself, ninefold",
        {"web/Chart.yaml": parent(*(f"- {{name: w{n}, repository: 'file://.'}}" for n in range(9)))},
        "KNR2408",
    ),
    ("no repository", {"web/Chart.yaml": parent("- {name: db, version: ^1}")}, "KNR2408"),
    ("an alias of a repository", {"web/Chart.yaml": parent("- {name: db, repository: '@team'}")}, "KNR2408"),
    ("a folder outside", {"web/Chart.yaml": parent("- {name: db, repository: 'file://../../etc'}")}, "KNR2301"),
    ("an absolute folder", {"web/Chart.yaml": parent("- {name: db, repository: 'file:///etc'}")}, "KNR2302"),
    ("a folder that is none", {"web/Chart.yaml": parent("- {name: db, repository: 'file://../db'}")}, "KNR2408"),
    ("itself, for ever", {"web/Chart.yaml": parent("- {name: web2, repository: 'file://.'}")}, "KNR2408"),
    ("a name that climbs", {"web/Chart.yaml": parent("- {name: '../../x', repository: 'file://../db'}")}, "KNR2408"),
    (
        "vendored in another version, which Helm leaves out silently",
        {"web/Chart.yaml": parent("- {name: db, version: ^2}"), **subchart("web/charts/db", "1.0.0")},
        "KNR2408",
    ),
    (
        "beside in another version",
        {"web/Chart.yaml": parent("- {name: db, version: ^2, repository: 'file://../db'}"), **subchart("db", "1.0.0")},
        "KNR2408",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "code"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
async def test_a_chart_without_what_it_needs_is_refused(
    renderer: Offline, tmp_path: Path, files: dict[str, str], code: str
) -> None:
    result = await rendered(renderer, tmp_path / "a", files)
    assert code in codes(result)
    assert AppName("web") not in result.revisions


def packed(*entries: tarfile.TarInfo) -> bytes:
    """A subchart's archive with `entries` beside its Chart.yaml; regular ones are full of zeros."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
        described = b"apiVersion: v2\nname: db\nversion: 1.0.0\n"
        for info in (entry("db/Chart.yaml", len(described)), *entries):
            body = described if info.name == "db/Chart.yaml" else bytes(info.size)
            tar.addfile(info, io.BytesIO(body))
    return raw.getvalue()


def entry(name: str, size: int = 0, *, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.linkname = size, link
    info.type = tarfile.SYMTYPE if link else tarfile.REGTYPE
    return info


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(lambda: packed(entry("db/big", 150 << 20)), id="a bomb"),
        pytest.param(lambda: packed(entry("db/../../etc/evil.yaml", 4)), id="a path that climbs"),
        pytest.param(lambda: b"\x1f\x8b" + bytes(100), id="no archive"),
    ],
)
async def test_a_hostile_packed_subchart_is_refused_and_the_renderer_lives_on(
    renderer: Offline, tmp_path: Path, archive: Callable[[], bytes]
) -> None:
    charts = tmp_path / "a/web/charts"
    charts.mkdir(parents=True)
    (charts / "db-1.0.0.tgz").write_bytes(archive())
    hostile = await rendered(renderer, tmp_path / "a", {"web/Chart.yaml": parent("- {name: db, version: ^1}")})
    assert codes(hostile) == ["KNR2401"]
    (charts / "db-1.0.0.tgz").write_bytes(packed())
    healed = await renderer.render({FLEET_SOURCE: folder_snapshot(tmp_path / "a", FLEET_SOURCE)})
    assert codes(healed) == []


async def test_a_link_in_a_packed_subchart_shows_no_file(renderer: Offline, tmp_path: Path) -> None:
    charts = tmp_path / "a/web/charts"
    charts.mkdir(parents=True)
    (charts / "db-1.0.0.tgz").write_bytes(packed(entry("db/templates/a.yaml", link="/etc/passwd")))
    result = await rendered(renderer, tmp_path / "a", {"web/Chart.yaml": parent("- {name: db, version: ^1}")})
    assert all(b"root:" not in plain for plain in result.plain.values())
    assert all("root:" not in f.message for f in result.finished[AppName("web")].failures)


async def test_a_mount_falls_on_nothing_that_the_chart_has_so_that_helm_can_judge_it(
    renderer: Offline, tmp_path: Path
) -> None:
    files = {
        "web/Chart.yaml": parent(
            f"- {{name: db, version: ^1, repository: '{REPOSITORY}', alias: first}}",
            f"- {{name: db, version: ^2, repository: '{REPOSITORY}', alias: second}}",
        ),
        "web/charts/db-2": "a file of this name",
        **lock(("^1", "1.0.0"), ("^2", "2.0.0")),
        **subchart(f".knarr/charts/{digest('1.0.0')}", "1.0.0"),
        **subchart(f".knarr/charts/{digest('2.0.0')}", "2.0.0"),
    }
    result = await rendered(renderer, tmp_path / "a", files)
    assert codes(result) == ["KNR2401"]  # in Helm's words: db-2 is no chart


async def test_another_chart_of_a_like_name_is_not_the_dependency(renderer: Offline, tmp_path: Path) -> None:
    charts = tmp_path / "a/web/charts"
    charts.mkdir(parents=True)
    for name in ("db-cluster-1.0.0.tgz", "db-vault-1.0.tgz"):
        (charts / name).write_bytes(packed())
    result = await rendered(renderer, tmp_path / "a", {"web/Chart.yaml": parent("- {name: db, version: ^1}")})
    assert codes(result) == ["KNR2408"]


async def test_a_large_source_mounted_again_and_again_is_refused_early(renderer: Offline, tmp_path: Path) -> None:
    files = {f"big/f{n}.txt": "" for n in range(1_500)} | subchart("big", "1.0.0")
    listed = [f"- {{name: db, repository: 'file://../big', alias: a{n}}}" for n in range(150)]
    result = await rendered(renderer, tmp_path / "a", {"web/Chart.yaml": parent(*listed), **files})
    assert "KNR2307" in codes(result)
