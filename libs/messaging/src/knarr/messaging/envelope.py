"""A message on the wire: protobuf bytes, compressed when that pays, with its type in a header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import zstandard

from knarr.messaging.tracing import inject
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.errors import rejected

TYPE_HEADER = "Knarr-Type"
ENCODING_HEADER = "Knarr-Encoding"
# A revision names every cluster's bundle: with ten thousand variants that is 1.4 to 2 MB compressed.
MAX_PAYLOAD_BYTES = 8_000_000
MAX_PLAIN_BYTES = 128_000_000
_COMPRESS_FROM_BYTES = 4_096


def to_wire(value: Any) -> tuple[bytes, dict[str, str]]:
    """(payload, headers) of a message value. KNR7012 when even compressed it exceeds what the broker takes."""
    payload = encode(value)
    if len(payload) > MAX_PLAIN_BYTES:
        raise rejected("KNR7012", f"a {type(value).__name__} of {len(payload)} bytes is larger than anybody reads")
    headers = inject({TYPE_HEADER: type(value).__name__})
    if len(payload) >= _COMPRESS_FROM_BYTES:
        payload = zstandard.ZstdCompressor(level=3).compress(payload)
        headers[ENCODING_HEADER] = "zstd"
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise rejected("KNR7012", f"a {type(value).__name__} of {len(payload)} bytes is larger than one message")
    return payload, headers


def from_wire(kinds: tuple[type, ...], payload: bytes, headers: Mapping[str, str] | None) -> Any:
    """The value in a message of our own services, which must be of one of `kinds`. KNR7001 otherwise.

    What a stream holds is opened by foreign.py, which knows how large it may be.
    """
    return decode(kind_of(kinds, headers), unfolded(payload, headers, most=MAX_PLAIN_BYTES))


def kind_of(kinds: tuple[type, ...], headers: Mapping[str, str] | None) -> type:
    """The kind that the headers name; KNR7001 when it is none of `kinds`."""
    name = (headers or {}).get(TYPE_HEADER, kinds[0].__name__ if len(kinds) == 1 else "")
    kind = next((k for k in kinds if k.__name__ == name), None)
    if kind is None:
        raise rejected("KNR7001", f"a message of type {name[:60]!r} is not expected here")
    return kind


def unfolded(payload: bytes, headers: Mapping[str, str] | None, *, most: int) -> bytes:
    """The plain bytes of a payload. KNR7005 above `most`, having read no more than that."""
    if (headers or {}).get(ENCODING_HEADER) == "zstd":
        return _decompress(payload, most)
    if len(payload) > most:
        raise rejected("KNR7005", f"the message has more than {most} bytes")
    return payload


def _decompress(payload: bytes, most: int) -> bytes:
    # A frame may ask for a window of 128 MB to hold a few bytes: no honest one needs more than its content.
    window = 1 << max(20, most.bit_length())
    try:
        asked = zstandard.get_frame_parameters(payload)
        if asked.window_size > window:
            raise rejected("KNR7005", f"the message asks for {asked.window_size} bytes to be decompressed")
        with zstandard.ZstdDecompressor(max_window_size=window).stream_reader(payload) as reader:
            plain = reader.read(most + 1)
    except zstandard.ZstdError as error:
        raise rejected("KNR7001", "the message's compression is broken") from error
    if len(plain) > most:
        raise rejected("KNR7005", f"the message decompresses to more than {most} bytes")
    return plain
