"""Charts over https with a CA of one's own, through a proxy, and with tokens from another host."""

from __future__ import annotations

from pathlib import Path

from knarr.pipeline.chart_lock import LockedChart, lock_from_bytes
from services.fetcher.tests.chart_servers import HelmServer, OciServer, TokenServer, chart, served
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness
from services.fetcher.tests.ways import certificate, proxy


def app(repository: str, credentials: str = "") -> str:
    login = f", credentials: {credentials}" if credentials else ""
    return (
        "apiVersion: knarr.dev/v1\nkind: App\n"
        f"helm: {{chart: {{repository: '{repository}', name: web, version: ^1{login}}}}}\n"
    )


def credentials(fetcher: FetcherHarness, name: str, *urls: str, more: str = "") -> None:
    place = Path(fetcher.folder / "credentials.yaml")
    listed = ", ".join(f"'{url}'" for url in urls)
    place.write_text(f"credentials:\n  {name}: {{urls: [{listed}], username: robot, password: secret{more}}}\n")
    fetcher.environment["KNARR_CREDENTIALS_FILE"] = str(place)


async def pinned(fetcher: FetcherHarness, files: dict[str, str | bytes | None]) -> dict[str, LockedChart]:
    sha = fetcher.fleet.commit({"fleet.yaml": FLEET, **files})
    lock = lock_from_bytes((await fetcher.commit(sha)).lock)
    return {path: c for path, reference in lock.uses if (c := lock.chart(reference)) is not None}


async def test_a_ca_of_ones_own_is_trusted_and_no_other(fetcher: FetcherHarness) -> None:
    good, bad = certificate(fetcher.folder / "good.pem"), certificate(fetcher.folder / "bad.pem")
    fetcher.environment["KNARR_CA_BUNDLE"] = str(fetcher.folder / "good.pem")
    helm = HelmServer(charts={("web", "1.0.0"): chart("web", "1.0.0")})
    impostor = HelmServer(charts={("web", "1.0.0"): chart("web", "1.0.0")})
    async with served(helm, good), served(impostor, bad):
        fetcher.start()
        found = await pinned(fetcher, {"web/knarr.yaml": app(helm.url), "bad/knarr.yaml": app(impostor.url)})
        assert {path: (c.version, c.code) for path, c in found.items()} == {
            "web/knarr.yaml": ("1.0.0", ""),
            "bad/knarr.yaml": ("", "KNR1050"),
        }
        assert impostor.requests == []
        await fetcher.stop()


async def test_a_proxy_for_all_and_one_of_a_credential(fetcher: FetcherHarness) -> None:
    tls = certificate(fetcher.folder / "good.pem")
    helm = HelmServer(charts={("web", "1.0.0"): chart("web", "1.0.0")})
    private = HelmServer(charts={("web", "1.1.0"): chart("web", "1.1.0")}, login="robot:secret")
    async with proxy() as for_all, proxy() as of_one, served(helm, tls), served(private, tls):
        credentials(fetcher, "team", private.url, more=f", proxy: '{of_one.url}'")
        fetcher.start(KNARR_CA_BUNDLE=str(fetcher.folder / "good.pem"), KNARR_PROXY=for_all.url)
        found = await pinned(
            fetcher, {"web/knarr.yaml": app(helm.url), "own/knarr.yaml": app(private.url, credentials="team")}
        )
        assert [(c.version, c.code) for c in found.values()] == [("1.1.0", ""), ("1.0.0", "")]
        assert {host for host in for_all.asked if host == helm.url.removeprefix("https://")}
        assert set(of_one.asked) == {private.url.removeprefix("https://")}
        await fetcher.stop()


async def test_a_login_reaches_a_token_server_that_it_is_bound_to_and_no_other(fetcher: FetcherHarness) -> None:
    registry = OciServer(charts={("team/web", "1.0.0"): chart("web", "1.0.0")})
    tokens = TokenServer(login="robot:secret")
    async with served(registry), served(tokens):
        registry.realm = f"{tokens.url}/jwt/auth"
        repository = registry.url.replace("http://", "oci://") + "/team"
        credentials(fetcher, "hub", repository)
        fetcher.start(KNARR_ALLOW_PLAIN_HTTP="true")
        found = await pinned(fetcher, {"web/knarr.yaml": app(repository, credentials="hub")})
        assert [c.code for c in found.values()] == ["KNR1056"]
        assert tokens.logins == []
        credentials(fetcher, "hub", repository, f"{tokens.url}/jwt")
        again = await pinned(fetcher, {"web/knarr.yaml": app(repository, credentials="hub") + "# again\n"})
        if [c.code for c in again.values()] != [""]:  # the pause after the first failure may not be over yet
            again = await healed(fetcher)
        assert [(c.version, c.code) for c in again.values()] == [("1.0.0", "")]
        await fetcher.stop()


async def healed(fetcher: FetcherHarness) -> dict[str, LockedChart]:
    """The lock once nothing in it fails."""

    async def ask() -> dict[str, LockedChart] | None:
        newest = await fetcher.newest()
        charts = lock_from_bytes(newest.lock).charts if newest else ()
        return {c.reference.name: c for c in charts} if charts and not any(c.code for c in charts) else None

    return await fetcher.until(ask, "charts without a failure")
