"""Which charts a commit's knarr.yaml files ask for, and which version of a chart a range means.

Reads `helm.chart` and nothing else of a knarr.yaml: the rest, and every mistake, is the renderer's to report. Works on
YAML's nodes, so that aliases and merges cannot unfold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import yaml

from knarr.fetcher.core.address import AddressRules, checked_address, shown
from knarr.pipeline.chart_lock import ChartReference
from knarr.pipeline.errors import KnarrError, rejected
from knarr.pipeline.versions import range_of, satisfies, version_of

APP_FILE = b"knarr.yaml"
FILE_BYTES = 64 * 1024
_KEYS = {"repository", "name", "version", "credentials"}
_OCI = "oci://"
_ANY_FILE = "index.yaml"  # the grammar of addresses wants a path
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_LONGEST = {"repository": 512, "name": 128, "version": 200, "credentials": 63}
_TEXT = "tag:yaml.org,2002:str"


def is_app_file(path: bytes) -> bool:
    """Whether a file of this path may name a chart."""
    return path.rpartition(b"/")[2] == APP_FILE


def reference_in(content: bytes) -> ChartReference | None:
    """The chart that a knarr.yaml names; None when it names none, or is wrong."""
    root = composed(content)
    chart = child(child(root, "helm"), "chart")
    if not isinstance(chart, yaml.MappingNode) or text_of(child(root, "kind")) != "App":
        return None
    given = {str(k.value): text_of(v) for k, v in chart.value if isinstance(k, yaml.ScalarNode)}
    if len(given) != len(chart.value) or not given.keys() <= _KEYS or not all(given.values()):
        return None
    if not given.keys() >= {"repository", "name", "version"} or not is_usable(given):
        return None
    return ChartReference(**given)


def is_usable(given: Mapping[str, str]) -> bool:
    """Whether name and lengths are such as an honest reference has: a slash or `..` in a name would leave its place."""
    return _NAME.fullmatch(given["name"]) is not None and all(
        len(given.get(key, "")) <= longest for key, longest in _LONGEST.items()
    )


def is_oci(reference: ChartReference) -> bool:
    """Whether the chart lies in an OCI registry."""
    return reference.repository.startswith(_OCI)


def repository_url(reference: ChartReference, rules: AddressRules) -> str:
    """The http(s) address of the repository. KNR1057 for one that is not asked.

    A knarr.yaml may come from a stranger: unlike a source's address, not even loopback is asked by plain http unless
    the installation says so.
    """
    text = reference.repository.rstrip("/")
    if text.startswith(_OCI):
        rest = text.removeprefix(_OCI)
        host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0]
        text = f"{'http' if rules.plain_http and host in ('127.0.0.1', 'localhost') else 'https'}://{rest}"
    try:
        found = checked_address(f"{text}/{_ANY_FILE}", rules).removesuffix(f"/{_ANY_FILE}")
    except KnarrError as error:
        raise rejected("KNR1057", error.message) from error
    if not found.startswith("https://") and not (rules.plain_http and found.startswith("http://")):
        raise rejected("KNR1057", f"{shown(reference.repository)} is neither https:// nor oci://")
    return found


def is_sha256(text: str) -> bool:
    """Whether the text is 32 bytes in lower-case hex, and so safe as a file's name."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def exact(wanted: str) -> str:
    """The one version that the range means; empty when it is a range."""
    return wanted if version_of(wanted) is not None else ""


def highest(versions: Iterable[str], wanted: str) -> str:
    """The highest version in a range. KNR1052 when there is none."""
    if range_of(wanted) is None:
        raise rejected("KNR1057", f"{wanted[:60]!r} is not a semver range")
    found = [(v, text) for text in versions if satisfies(text, wanted) and (v := version_of(text)) is not None]
    if not found:
        raise rejected("KNR1052", f"no version lies in the range {wanted[:60]!r}")
    return max(found, key=lambda pair: (pair[0].precedence_key, pair[1]))[1]


def composed(content: bytes) -> yaml.Node | None:
    """The nodes of a foreign document, nothing built; None for one that cannot be read."""
    if len(content) > FILE_BYTES:
        return None
    try:
        return yaml.compose(content, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """What a mapping has under a key."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((v for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == key), None)


def text_of(node: yaml.Node | None) -> str:
    """A scalar that YAML takes for a text; empty for anything else."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) and node.tag == _TEXT else ""
