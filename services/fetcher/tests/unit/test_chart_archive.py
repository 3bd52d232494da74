"""Archives of charts: what `helm package` makes is read, what a stranger may make is refused with KNR1055."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from knarr.fetcher.core.chart_archive import ArchiveLimits, unpack_chart
from knarr.pipeline.errors import Rejected
from services.fetcher.tests.chart_servers import chart, tar_gz

LIMITS = ArchiveLimits(unpacked_bytes=1 << 20, entries=50)
DESCRIBED = ("web/Chart.yaml", b"name: web\nversion: 1.0.0\n")


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def sparse() -> bytes:
    """A member whose header says that it unfolds to a terabyte."""
    info = tarfile.TarInfo("web/big")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    info.size = 512
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"1\n0\n512\n".ljust(512, b"\0")))
    return gzip.compress(raw.getvalue())


def long_header() -> bytes:
    """A member with an extended header of half a megabyte, which tarfile would read for long."""
    info = tarfile.TarInfo("web/a")
    info.pax_headers = {"comment": "x" * 500_000}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b""))
    return gzip.compress(raw.getvalue())


HOSTILE: list[tuple[str, bytes]] = [
    ("no gzip", b"hello"),
    ("empty", b""),
    ("gzip of no tar", gzip.compress(b"hello" * 200)),
    ("a bomb", gzip.compress(bytes(64 << 20))),
    ("a file that is a bomb", tar_gz([DESCRIBED, ("web/zero", bytes(2 << 20))])),
    ("too many entries", tar_gz([DESCRIBED, *((f"web/{n}", b"") for n in range(60))])),
    ("a parent folder", tar_gz([DESCRIBED, ("web/../../etc/passwd", b"x")])),
    ("an absolute path", tar_gz([DESCRIBED, ("/etc/passwd", b"x")])),
    ("a drive", tar_gz([DESCRIBED, ("C:/x", b"x")])),
    ("a backslash", tar_gz([DESCRIBED, ("web\\..\\x", b"x")])),
    ("a .git folder", tar_gz([DESCRIBED, ("web/.git/config", b"x")])),
    ("a symlink", tar_gz([DESCRIBED], [member("web/link", tarfile.SYMTYPE, "/etc/passwd")])),
    ("a hard link", tar_gz([DESCRIBED], [member("web/link", tarfile.LNKTYPE, "web/Chart.yaml")])),
    ("a device", tar_gz([DESCRIBED], [member("web/null", tarfile.CHRTYPE)])),
    ("a pipe", tar_gz([DESCRIBED], [member("web/pipe", tarfile.FIFOTYPE)])),
    ("a sparse file", sparse()),
    ("a long header", long_header()),
    ("two of one name", tar_gz([DESCRIBED, ("web/a", b"1"), ("web/a", b"2")])),
    ("a file that is a folder", tar_gz([DESCRIBED, ("web/a", b"1"), ("web/a/b", b"2")])),
    ("two folders", tar_gz([DESCRIBED, ("other/a", b"1")])),
    ("a file beside the folder", tar_gz([DESCRIBED, ("a", b"1")])),
    ("a deep path", tar_gz([DESCRIBED, ("web/" + "d/" * 40 + "f", b"1")])),
    ("a long name", tar_gz([DESCRIBED, ("web/" + "n" * 300, b"1")])),
    ("no Chart.yaml", tar_gz([("web/values.yaml", b"a: 1\n")])),
    ("another chart", chart("other", "1.0.0")),
    ("data behind its end", chart("web", "1.0.0") + b"more"),
    ("two archives in one", chart("web", "1.0.0") + chart("web", "1.0.0")),
    ("cut short", chart("web", "1.0.0")[:-20]),
]


@pytest.mark.parametrize("archive", [h[1] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_a_hostile_archive_is_refused(archive: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        unpack_chart(archive, "web", LIMITS)
    assert refused.value.code == "KNR1055"


def test_an_honest_archive_gives_its_files_in_order() -> None:
    archive = chart("web", "1.0.0", {"values.yaml": "a: 1\n", "templates/a.yaml": "b: 2\n"})
    assert unpack_chart(archive, "web", LIMITS) == (
        (b"Chart.yaml", b"apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        (b"templates/a.yaml", b"b: 2\n"),
        (b"values.yaml", b"a: 1\n"),
    )
