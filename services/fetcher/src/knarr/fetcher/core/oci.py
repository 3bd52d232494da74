"""What an OCI registry answers: tags, a chart's manifest, and who gives tokens. Everything in it is foreign."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from knarr.pipeline.errors import rejected

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST_BYTES = 1024 * 1024
TAGS_BYTES = 2 * 1024 * 1024
_CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_PARAMETER = re.compile(r'([a-zA-Z]{1,20})="([^"\x00-\x1f]{0,1000})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The chart's archive: its sha256 in hex, and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Who gives tokens for a request that was refused."""

    realm: str
    service: str = ""
    scope: str = ""


def chart_layer(manifest: bytes) -> Layer:
    """The one layer that holds the chart. KNR1053 for a manifest that is none of a chart."""
    document = _json(manifest, MANIFEST_BYTES, "the manifest")
    layers = document.get("layers")
    listed = layers if isinstance(layers, list) else []
    charts = [x for x in listed if isinstance(x, dict) and x.get("mediaType") == _CHART_LAYER]
    if len(charts) != 1:
        raise rejected("KNR1053", f"the manifest holds {len(charts)} chart layers; a chart has one")
    digest, size = charts[0].get("digest"), charts[0].get("size")
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if found is None or not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise rejected("KNR1053", "the manifest names its chart layer without a sha256 digest and a size")
    return Layer(digest=found[1], size=size)


def versions_in(tags: bytes) -> tuple[str, ...]:
    """The versions that a list of tags means: a tag has `_` where a version has `+`."""
    listed = _json(tags, TAGS_BYTES, "the list of tags").get("tags")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise rejected("KNR1053", "the list of tags is none")
    return tuple(tag.replace("_", "+") for tag in listed if isinstance(tag, str) and len(tag) <= 128)


def tag_of(version: str) -> str:
    """The tag of a version."""
    return version.replace("+", "_")


def challenge_in(header: str) -> Challenge | None:
    """A `WWW-Authenticate: Bearer …` header; None for anything else."""
    scheme, _, rest = header[:4000].partition(" ")
    if scheme.lower() != "bearer":
        return None
    given = {key.lower(): value for key, value in _PARAMETER.findall(rest)}
    if not given.get("realm"):
        return None
    return Challenge(realm=given["realm"], service=given.get("service", ""), scope=given.get("scope", ""))


def token_in(answer: bytes) -> str:
    """The token that a token server gives. KNR1053 when there is none."""
    document = _json(answer, MANIFEST_BYTES, "the token server's answer")
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]{1,16384}", token):
        raise rejected("KNR1053", "the token server gives no token")
    return token


def _json(data: bytes, limit: int, what: str) -> dict[str, Any]:
    if len(data) > limit:
        raise rejected("KNR1053", f"{what} is larger than {limit} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise rejected("KNR1053", f"{what} is not JSON") from error
    if not isinstance(document, dict):
        raise rejected("KNR1053", f"{what} is no JSON object")
    return document
