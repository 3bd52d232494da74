"""The port `Charts`: Helm repositories with an index.yaml, and OCI registries."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections import OrderedDict
from dataclasses import replace
from urllib.parse import quote, urlencode, urljoin

from knarr.fetcher.adapters.charts.web import Answer, Ask, Web, check_status
from knarr.fetcher.adapters.credentials import Credential, CredentialsFile
from knarr.fetcher.beside import beside_the_loop
from knarr.fetcher.core import oci
from knarr.fetcher.core.address import AddressRules, shown
from knarr.fetcher.core.chart_archive import ARCHIVE_BYTES
from knarr.fetcher.core.chart_index import INDEX_BYTES, Offer, offers_in
from knarr.fetcher.core.chart_references import is_oci, repository_url
from knarr.pipeline.chart_lock import ChartReference
from knarr.pipeline.errors import KnarrError, rejected

_INDEX_SECONDS = 5.0
_MOST_INDEXES = 4
_PAGE = 1000
_MOST_PAGES = 10
_LEAVES = re.compile(r"/\.\.?(/|$)|%2e|%2f|[#\\\\]", re.IGNORECASE)  # might not end where it seems to


class WebCharts:
    """Asks repositories. An index is remembered for some seconds, since many apps may name one repository."""

    def __init__(self, web: Web, credentials: CredentialsFile, rules: AddressRules, proxy: str) -> None:
        self._web, self._credentials, self._rules, self._proxy = web, credentials, rules, proxy
        self._indexes: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()

    async def offers(self, reference: ChartReference) -> tuple[Offer, ...]:
        """See ports.Charts."""
        url = repository_url(reference, self._rules)
        if is_oci(reference):
            return await self._tags(reference, url)
        index = await self._index(reference, url)
        # Megabytes of foreign YAML are read beside the loop.
        return await beside_the_loop(offers_in, index, reference.name)

    async def archive(self, reference: ChartReference, offer: Offer) -> bytes:
        """See ports.Charts."""
        url = repository_url(reference, self._rules)
        if is_oci(reference):
            return await self._layer(reference, url, offer)
        try:
            place = urljoin(f"{url}/index.yaml", offer.location)
        except ValueError as error:
            raise rejected("KNR1053", f"{shown(url)} names an archive at no address") from error
        if not self._web.is_allowed(place, url):
            raise rejected("KNR1056", f"{shown(url)} keeps its archives at {shown(place)}")
        answer = await self._web.fetched(self._ask(reference, place, limit=ARCHIVE_BYTES, at=url))
        return _checked(answer.body, offer.digest, reference)

    async def _index(self, reference: ChartReference, url: str) -> bytes:
        key = (url, reference.credentials)
        known = self._indexes.get(key)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        answer = await self._web.fetched(self._ask(reference, f"{url}/index.yaml", limit=INDEX_BYTES, at=url))
        self._indexes[key] = (time.monotonic() + _INDEX_SECONDS, answer.body)
        while len(self._indexes) > _MOST_INDEXES:
            self._indexes.popitem(last=False)
        return answer.body

    async def _tags(self, reference: ChartReference, url: str) -> tuple[Offer, ...]:
        base, repository = _registry(url, reference)
        found: list[str] = []
        last = ""
        for _ in range(_MOST_PAGES):
            query = urlencode({"n": _PAGE, **({"last": last} if last else {})})
            place = f"{base}/v2/{repository}/tags/list?{query}"
            tags = oci.versions_in((await self._asked(reference, place, oci.TAGS_BYTES)).body)
            found += tags
            if len(tags) < _PAGE:
                break
            last = oci.tag_of(tags[-1])
        return tuple(Offer(version=version) for version in dict.fromkeys(found))

    async def _layer(self, reference: ChartReference, url: str, offer: Offer) -> bytes:
        base, repository = _registry(url, reference)
        tag = quote(oci.tag_of(offer.version), safe="")
        place = f"{base}/v2/{repository}/manifests/{tag}"
        answer = await self._asked(reference, place, oci.MANIFEST_BYTES, accept=oci.MANIFEST_TYPE)
        stated = answer.headers.get("Docker-Content-Digest", "")
        if stated.startswith("sha256:"):
            _checked(answer.body, stated.removeprefix("sha256:"), reference)
        layer = oci.chart_layer(answer.body)
        if layer.size > ARCHIVE_BYTES:
            raise rejected("KNR1055", f"the chart's archive has {layer.size} bytes; at most {ARCHIVE_BYTES} are read")
        blob = await self._asked(reference, f"{base}/v2/{repository}/blobs/sha256:{layer.digest}", layer.size)
        return _checked(blob.body, layer.digest, reference)

    async def _asked(self, reference: ChartReference, place: str, limit: int, accept: str = "*/*") -> Answer:
        """Asks a registry, with a token if it wants one."""
        ask = replace(self._ask(reference, place, limit=limit, at=place), accept=accept)
        answer = await self._web.get(ask)
        challenge = oci.challenge_in(answer.headers.get("WWW-Authenticate", "")) if answer.status == 401 else None
        if challenge is None:
            return check_status(answer, place)
        token = await self._token(reference, challenge, place)
        return await self._web.fetched(replace(ask, authorization=f"Bearer {token}"))

    async def _token(self, reference: ChartReference, challenge: oci.Challenge, place: str) -> str:
        if not self._web.is_allowed(challenge.realm, place) and not self._is_ours(reference, challenge.realm):
            raise rejected("KNR1056", f"{shown(place)} takes its tokens from {shown(challenge.realm)}")
        query = {k: v for k, v in (("service", challenge.service), ("scope", challenge.scope)) if v}
        mark = "&" if "?" in challenge.realm else "?"
        url = f"{challenge.realm}{mark}{urlencode(query)}"
        return oci.token_in((await self._web.fetched(self._ask(reference, url, limit=64 * 1024, at=place))).body)

    def _ask(self, reference: ChartReference, url: str, *, limit: int, at: str) -> Ask:
        """A request, with the login that the reference names if `url` lies on the server of `at` or is the login's."""
        if not reference.credentials:
            return Ask(url=url, limit=limit, proxy=self._proxy)
        address = reference.repository.rstrip("/")
        # A Helm repository answers at its own address for all of its charts; a registry at one address for each.
        found = self._credential(reference.credentials, f"{address}/{reference.name}" if is_oci(reference) else address)
        login = _basic(found)
        own = url.split("/", 3)[:3] == at.split("/", 3)[:3] or self._is_ours(reference, url)
        return Ask(url=url, limit=limit, authorization=login if own else "", proxy=found.proxy or self._proxy)

    def _is_ours(self, reference: ChartReference, url: str) -> bool:
        """Whether the login is for this address too: a registry may have its tokens given by another host."""
        if not reference.credentials or not self._web.is_safe(url) or _LEAVES.search(url.partition("?")[0]):
            return False
        try:
            self._credentials.credential(reference.credentials, url.partition("?")[0])
        except KnarrError:
            return False
        return True

    def _credential(self, name: str, address: str) -> Credential:
        try:
            return self._credentials.credential(name, address)
        except KnarrError as error:
            raise rejected("KNR1051", error.message) from error


def _registry(url: str, reference: ChartReference) -> tuple[str, str]:
    """(scheme and host, the repository's path in the registry)."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", quote("/".join(part for part in (path.strip("/"), reference.name) if part))


def _basic(credential: Credential) -> str:
    login = credential.login
    if not login.password:
        return ""
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _checked(body: bytes, digest: str, reference: ChartReference) -> bytes:
    if digest and hashlib.sha256(body).hexdigest() != digest:
        raise rejected("KNR1054", f"{reference.name[:80]!r}: the sha256 is not the one that the repository states")
    return body
