"""Every parser of the fetcher's foreign input, with input made to break it: it answers or refuses with a number.

Bounded here; KNARR_FUZZ_EXAMPLES makes runs as long as wanted (make fuzz).
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import tarfile
from collections.abc import Callable

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from knarr.fetcher.adapters.openpgp import SequoiaOpenPgp
from knarr.fetcher.core import oci
from knarr.fetcher.core.address import AddressRules, checked_address
from knarr.fetcher.core.chart_archive import ArchiveLimits, unpack_chart
from knarr.fetcher.core.chart_dependencies import dependencies_in
from knarr.fetcher.core.chart_index import offers_in
from knarr.fetcher.core.chart_references import highest, reference_in, repository_url
from knarr.fetcher.core.compare import entries_of
from knarr.fetcher.core.fleet_file import read_sources
from knarr.fetcher.core.signers_file import read_signers
from knarr.fetcher.core.sshsig import ARMOR, PinnedKey, pinned_key, signer
from knarr.pipeline.chart_lock import ChartLock, ChartReference, LockedChart, lock_from_bytes, lock_to_bytes
from knarr.pipeline.errors import CATALOGUE, KnarrError
from knarr.pipeline.versions import satisfies
from services.fetcher.tests.chart_servers import LAYER, chart, tar_gz

EXAMPLES = int(os.environ.get("KNARR_FUZZ_EXAMPLES", "60"))
BOUNDED = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
RULES = AddressRules()
LIMITS = ArchiveLimits(unpacked_bytes=1 << 20, entries=100)
INDEX = yaml.safe_dump(
    {"apiVersion": "v1", "entries": {"web": [{"version": "1.0.0", "digest": "a" * 64, "urls": ["web-1.0.0.tgz"]}]}}
).encode()
MANIFEST = json.dumps(
    {"schemaVersion": 2, "layers": [{"mediaType": LAYER, "digest": "sha256:" + "a" * 64, "size": 3}]}
).encode()
FLEET = b"apiVersion: knarr.dev/v1\nkind: Fleet\nsources:\n  - {name: shop, url: https://example.com/shop}\n"
APP = b"kind: App\nhelm: {chart: {repository: 'oci://example.com/x', name: web, version: ^1}}\n"
KEY = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)
SIGNATURE = (
    b"SSHSIG\0\0\0\x01\0\0\0\x33" + KEY + b"\0\0\0\x03git\0\0\0\0\0\0\0\x06sha512\0\0\0\x53"
    b"\0\0\0\x0bssh-ed25519\0\0\0\x40" + bytes(64)
)
TYPES = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE)
REFERENCE = ChartReference(repository="https://example.com", name="web", version="^1")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12)
    | st.sampled_from([LAYER, "sha256:" + "a" * 64, "layers", "tags"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["layers", "mediaType", "digest", "size", "tags", "token"]), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with a few bytes changed, put in or taken out: past what random bytes would ever reach."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        piece = draw(st.binary(max_size=6) | st.sampled_from([b"[", b"{", b": ", b"- ", b"&a ", b"*a", b"\0" * 8]))
        data[at : at + draw(st.integers(0, 6))] = piece
    return bytes(data)


def numbered(call: Callable[[], object]) -> None:
    """Runs it; a refusal must have a number of the catalogue, and nothing else may come out."""
    code = ""
    try:
        call()
    except KnarrError as error:
        code = error.code
    assert not code or code in CATALOGUE


@BOUNDED
@given(st.binary(max_size=400) | mutated(INDEX))
@example(b"entries: " + b"[" * 10_000)
@example(b"? [a]\n: b\n")
@example(b"%YAML 9.9\n---\n")
def test_index_yaml(data: bytes) -> None:
    numbered(lambda: offers_in(data, "web"))


@BOUNDED
@given(mutated(MANIFEST) | JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
@example(b"[" * 100_000)
def test_what_a_registry_answers(data: bytes) -> None:
    for parse in (oci.chart_layer, oci.versions_in, oci.token_in):
        numbered(lambda parse=parse: parse(data))  # type: ignore[misc]


@BOUNDED
@given(st.text(max_size=200))
def test_challenges(header: str) -> None:
    oci.challenge_in(header)
    oci.challenge_in(f'Bearer realm="{header}",{header}')


@BOUNDED
@given(mutated(gzip.decompress(chart("web", "1.0.0", {"templates/a.yaml": "a: 1\n"}))), st.booleans())
def test_tar(tar: bytes, again: bool) -> None:
    numbered(lambda: unpack_chart(gzip.compress(tar, 1) if again else tar, "web", LIMITS))


@BOUNDED
@given(mutated(chart("web", "1.0.0")))
def test_gzip(archive: bytes) -> None:
    numbered(lambda: unpack_chart(archive, "web", LIMITS))


@BOUNDED
@given(
    st.lists(
        st.tuples(st.text(alphabet="web/.\\ a\u00e9", min_size=1, max_size=12), st.sampled_from(sorted(TYPES))),
        max_size=6,
    )
)
def test_no_path_that_is_taken_leaves_the_chart(members: list[tuple[str, bytes]]) -> None:
    extra = []
    for name, kind in members:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "web/Chart.yaml"
        extra.append(info)
    with contextlib.suppress(KnarrError):
        for path, _ in unpack_chart(tar_gz([("web/Chart.yaml", b"name: web\n")], extra), "web", LIMITS):
            parts = path.split(b"/")
            assert not {b"", b".", b"..", b".git"} & set(parts)
            assert b"\\" not in path


@BOUNDED
@given(mutated(SIGNATURE), st.binary(max_size=60), st.booleans())
def test_ssh_signatures_of_strangers_vouch_for_nothing(raw: bytes, noise: bytes, armored: bool) -> None:
    armor = ARMOR + b"\n" + base64.b64encode(raw) + b"\n-----END SSH SIGNATURE-----"
    data = armor if armored else ARMOR + noise + raw
    assert signer(data, b"commit", [PinnedKey(name="ann", key=bytes(32))]) is None


@BOUNDED
@given(st.binary(max_size=200) | mutated(b"-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n"))
def test_openpgp_signatures_of_strangers_vouch_for_nothing(data: bytes) -> None:
    assert SequoiaOpenPgp().signer(data, b"commit", ["no certificate"]) is None


@BOUNDED
@given(st.text(max_size=120))
def test_lines_of_keys(text: str) -> None:
    pinned_key(text)
    pinned_key(f"ssh-ed25519 {text}")
    read_signers(text)


@BOUNDED
@given(mutated(FLEET) | st.binary(max_size=200))
@example(FLEET + b"[" * 5_000)
def test_fleet_files(data: bytes) -> None:
    for failure in read_sources(data, RULES).failures:
        assert failure.code in CATALOGUE


@BOUNDED
@given(mutated(APP) | st.binary(max_size=200))
@example(b"kind: App\nhelm: &a {chart: *a}\n")
@example(b"[" * 5_000)
def test_references_in_app_files(data: bytes) -> None:
    found = reference_in(data)
    if found is not None:
        numbered(lambda: repository_url(found, RULES))
        numbered(lambda: highest(["1.0.0", "nonsense", "v2"], found.version))


CHART = b"name: web\nannotations: {knarr.dev/credentials: 'db=x'}\ndependencies: [{name: db, version: ^1, repository: 'https://x'}]\n"


@BOUNDED
@given(mutated(CHART) | st.binary(max_size=200), mutated(CHART) | st.just(b""))
@example(b"dependencies: &a [*a]\n", b"")
@example(b"dependencies: " + b"[" * 5_000, b"")
def test_dependencies_of_charts(description: bytes, lock: bytes) -> None:
    for reference in dependencies_in(description, lock, frozenset({"other"})):
        numbered(lambda reference=reference: repository_url(reference, RULES))  # type: ignore[misc]
        numbered(lambda reference=reference: highest(["1.0.0"], reference.version))  # type: ignore[misc]
        satisfies(reference.locked, reference.version)


@BOUNDED
@given(st.text(max_size=200))
def test_addresses(text: str) -> None:
    for scheme in ("", "https://", "oci://", "ssh://"):
        numbered(lambda scheme=scheme: checked_address(scheme + text, RULES))  # type: ignore[misc]
        reference = ChartReference(repository=scheme + text, name="web", version=text)
        numbered(lambda reference=reference: repository_url(reference, RULES))  # type: ignore[misc]
        numbered(lambda: highest(["1.0.0", text], text))


@BOUNDED
@given(st.binary(max_size=200) | mutated(b"100644 a\0" + bytes(20) + b"40000 b\0" + bytes(20)))
def test_tree_objects(raw: bytes) -> None:
    numbered(lambda: entries_of(raw))


@BOUNDED
@given(
    st.binary(max_size=100)
    | mutated(lock_to_bytes(ChartLock(charts=(LockedChart(reference=REFERENCE),), uses=(("knarr.yaml", REFERENCE),))))
)
def test_locks(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        lock_from_bytes(data)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4))
def test_equal_locks_have_equal_bytes(names: list[tuple[str, str]]) -> None:
    charts = [
        LockedChart(reference=ChartReference(repository=a, name=b, version="1"), digest=a)
        for a, b in dict(names).items()
    ]
    uses = [(f"{number}/knarr.yaml", c.reference) for number, c in enumerate(charts)]
    lock = ChartLock(charts=tuple(charts), uses=tuple(uses))
    data = lock_to_bytes(lock)
    assert lock_to_bytes(ChartLock(charts=tuple(reversed(charts)), uses=tuple(reversed(uses)))) == data
    assert lock_to_bytes(lock_from_bytes(data)) == data
