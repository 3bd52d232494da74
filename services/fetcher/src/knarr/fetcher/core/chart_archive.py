"""A chart's archive (tar, gzip) to its files, in memory and within limits. Nothing is ever written to disk by name.

What no honest `helm package` makes is refused: links, devices, absolute paths, `..`, two entries of one name, more than
one top folder, data behind the archive. Called by the flow after the digest was checked.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from dataclasses import dataclass
from typing import NoReturn

from knarr.fetcher.core.tree import Limits, check_name
from knarr.pipeline.errors import KnarrError, Rejected, rejected

ARCHIVE_BYTES = 10 * 1024 * 1024
_CHUNK = 256 * 1024
_BLOCK = 512
_HEADER_BYTES = 64 * 1024
_EXTENDED = (b"x", b"g", b"X", b"L", b"K")
_DESCRIPTION = b"Chart.yaml"
_NAME = re.compile(rb"^name:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)
_PATHS = Limits(path_bytes=1024, depth=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How much an archive may unfold to."""

    unpacked_bytes: int = 32 * 1024 * 1024
    entries: int = 5_000


def unpack_chart(archive: bytes, name: str, limits: ArchiveLimits) -> tuple[tuple[bytes, bytes], ...]:
    """(path below the chart's folder, content) of every file, sorted. KNR1055 for an archive that is refused."""
    tar = _unzipped(archive, limits.unpacked_bytes)
    _check_headers(tar)
    files: dict[bytes, bytes] = {}
    tops: set[bytes] = set()
    try:
        # tarfile reads headers without bounds of their own, but all of them lie in bytes that are bounded already.
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            for count, member in enumerate(opened):
                if count >= limits.entries:
                    _refuse(f"it has more than {limits.entries} entries")
                path = _path(member, tops)
                if path is not None:
                    _take(files, path, _content(opened, member))
    except Rejected:
        raise
    except Exception as error:  # tarfile raises what it meets: TarError, ValueError, OverflowError, RecursionError, …
        raise rejected("KNR1055", f"it is no tar archive: {type(error).__name__}") from error
    _check(files, tops, name)
    return tuple(sorted(files.items()))


def _unzipped(archive: bytes, limit: int) -> bytes:
    if len(archive) > ARCHIVE_BYTES:
        _refuse(f"it is larger than {ARCHIVE_BYTES} bytes")
    stream = zlib.decompressobj(wbits=31)
    out = bytearray()
    rest = archive
    try:
        while rest and not stream.eof:
            out += stream.decompress(rest, _CHUNK)
            if len(out) > limit:
                _refuse(f"it unfolds to more than {limit} bytes")
            rest = stream.unconsumed_tail
    except zlib.error as error:
        raise rejected("KNR1055", "it is not gzip, or damaged") from error
    if not stream.eof:
        _refuse("it is cut short")
    if stream.unused_data:
        _refuse("there is data behind its end")
    return bytes(out)


def _check_headers(tar: bytes) -> None:
    """tarfile reads extended headers of any length, slowly."""
    at = 0
    while at + _BLOCK <= len(tar) and tar[at : at + _BLOCK].strip(b"\0"):
        digits = tar[at + 124 : at + 136].strip(b" \0")
        size = int(digits, 8) if digits and set(digits) <= set(b"01234567") else 0
        if tar[at + 156 : at + 157] in _EXTENDED and size > _HEADER_BYTES:
            _refuse(f"a header has {size} bytes")
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _path(member: tarfile.TarInfo, tops: set[bytes]) -> bytes | None:
    """The path below the top folder; None for a folder."""
    shown = repr(member.name[:120])
    if member.issym() or member.islnk():
        _refuse(f"{shown} is a link")
    if not (member.isreg() or member.isdir()) or member.issparse():
        _refuse(f"{shown} is neither a file nor a folder")
    try:
        raw = member.name.encode("utf-8")
    except UnicodeError as error:
        raise rejected("KNR1055", f"{shown} is not UTF-8") from error
    if raw.startswith(b"/") or b"\\" in raw or b"\0" in raw or re.match(rb"[A-Za-z]:", raw):
        _refuse(f"{shown} is no path below the chart")
    parts = raw.removeprefix(b"./").rstrip(b"/").split(b"/")
    if parts in ([b""], [b"."]) and member.isdir():
        return None
    _check_parts(parts, shown)
    tops.add(parts[0])
    if member.isdir():
        return None
    if len(parts) < 2:
        _refuse(f"{shown} lies outside the chart's folder")
    return b"/".join(parts[1:])


def _check_parts(parts: list[bytes], shown: str) -> None:
    folder = b""
    for part in parts:
        if len(part) > 255:
            _refuse(f"{shown} has too long a name")
        try:
            check_name(folder, part, _PATHS)
        except KnarrError as error:
            raise rejected("KNR1055", f"{shown}: {error.message}") from error
        folder += part + b"/"


def _content(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = opened.extractfile(member)
    content = stream.read() if stream is not None else b""
    if len(content) != member.size:
        _refuse("it is cut short")
    return content


def _take(files: dict[bytes, bytes], path: bytes, content: bytes) -> None:
    if path in files:
        _refuse(f"it holds {path[:120]!r} twice")
    files[path] = content


def _check(files: dict[bytes, bytes], tops: set[bytes], name: str) -> None:
    folders = {path[:end] for path in files for end in range(len(path)) if path[end : end + 1] == b"/"}
    if both := sorted(folders & files.keys()):
        _refuse(f"{both[0][:120]!r} is a file and a folder")
    if len(tops) > 1:
        _refuse("it holds more than one folder")
    found = _NAME.search(files.get(_DESCRIPTION, b""))
    if found is None:
        _refuse("it has no Chart.yaml with a name")
    if found[1] != name.encode():
        _refuse(f"it holds the chart {found[1][:80]!r}, not {name[:80]!r}")


def _refuse(why: str) -> NoReturn:
    raise rejected("KNR1055", f"the chart's archive is refused: {why}")
