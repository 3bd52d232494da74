"""YAML text to documents: values as kubectl sends them, and the line of everything.

Called for manifests, for the tools' output, and (with `strict`) for knarr.dev documents. Size, depth, node and alias
limits are checked before a value is built: a bomb costs what its bytes cost. Leaves objects and their rules to
normalise.py and validate.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import yaml

from knarr.pipeline.errors import Rejected, rejected
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.scalars import json_number, key_text, resolve

_OPENERS = re.compile(rb"[\[{]")
_DEEP_LINE = re.compile(rb"^[ \t]{500}|(?:[-?:] +){400}", re.MULTILINE)
_STEEP_LINE = re.compile(rb"^[ \t]{40}|(?:[-?:] +){12}", re.MULTILINE)
_SAFE_OPENERS = 900
_TAME_OPENERS = 40
_TAME_BYTES = 65_536
_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"  # the tag that _Loader gives to a scalar without quotes and without a tag
_TEXT = _TAG + "str"


class _Loader(yaml.CSafeLoader):
    """Tells plain scalars from quoted ones and resolves nothing: scalars.py does."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _TAG + ("map" if kind is yaml.MappingNode else "seq")

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """PyYAML's path resolvers are not used."""

    def ascend_resolver(self) -> None:
        """PyYAML's path resolvers are not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document: its value, the file, the first line (1-based), and for YAML the node tree for positions."""

    value: Any
    file: str
    line: int
    node: yaml.Node | None = None

    @property
    def origin(self) -> str:
        """file:line"""
        return f"{self.file}:{self.line}"


def read_documents(data: bytes, file: str, limits: Limits, *, strict: bool = False) -> tuple[Document, ...]:
    """The non-empty documents in `data`. `strict` refuses duplicate keys (kubectl takes the last one).

    Raises Rejected: KNR2001 malformed, KNR2002 too large, KNR2003 too deep or expanded too far, KNR2004 not UTF-8.
    """
    text = _decoded(data, file, limits)
    if not strict and data.startswith(b"{"):
        # kubectl, too, takes what begins like this for JSON; what then is none may still be YAML.
        with contextlib.suppress(orjson.JSONDecodeError):
            return (Document(value=_shortened(orjson.loads(text)), file=file, line=1),)
    _refuse_depth(data, text, file, limits)
    is_tame = _is_tame(data)
    return tuple(
        Document(
            value=_Builder(file, strict).build(node),
            file=file,
            line=node.start_mark.line + 1,
            node=node,
        )
        for node in _composed(text, file, limits, is_tame=is_tame)
        if not _is_empty(node)
    )


def _shortened(value: Any) -> Any:
    """Whole floats as integers, as for YAML."""
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return json_number(value) if isinstance(value, float) else value


def position(file: str, mark: Any) -> str:
    """file:line:column, 1-based."""
    return f"{file}:{mark.line + 1}:{mark.column + 1}"


def _decoded(data: bytes, file: str, limits: Limits) -> str:
    if len(data) > limits.file_bytes:
        raise rejected("KNR2002", f"{len(data)} bytes; at most {limits.file_bytes} are read", origin=file)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise rejected("KNR2004", f"byte {error.start} is not UTF-8", origin=f"{file}:{line}") from None


def _refuse_depth(data: bytes, text: str, file: str, limits: Limits) -> None:
    """libyaml composes recursively and would overflow its stack: deep input is found by its events first."""
    if len(_OPENERS.findall(data)) < _SAFE_OPENERS and _DEEP_LINE.search(data) is None:
        return
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > limits.yaml_depth:
                raise rejected(
                    "KNR2003", f"nested deeper than {limits.yaml_depth}", origin=position(file, event.start_mark)
                )
    except yaml.YAMLError as error:
        raise _malformed(error, file) from None


def _is_tame(data: bytes) -> bool:
    """Whether the text is too small, too flat and too free of aliases to be a bomb: most are, and need no count."""
    return (
        len(data) <= _TAME_BYTES
        and b"*" not in data
        and len(_OPENERS.findall(data)) < _TAME_OPENERS
        and _STEEP_LINE.search(data) is None
    )


def _composed(text: str, file: str, limits: Limits, *, is_tame: bool) -> Iterator[yaml.Node]:
    try:
        for count, node in enumerate(yaml.compose_all(text, Loader=_Loader), start=1):
            if count > limits.yaml_documents:
                raise rejected("KNR2003", f"more than {limits.yaml_documents} documents in one file", origin=file)
            if not is_tame:
                _refuse_expansion(node, file, limits)
            yield node
    except (yaml.YAMLError, ValueError, UnicodeError) as error:
        raise _malformed(error, file) from None


def _malformed(error: Exception, file: str) -> Rejected:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        origin = position(file, mark) if mark else file
        return rejected("KNR2001", f"malformed YAML: {error.problem or error.context}", origin=origin)
    return rejected("KNR2001", f"malformed YAML: {str(error).splitlines()[0][:200]}", origin=file)


def _refuse_expansion(root: yaml.Node, file: str, limits: Limits) -> None:
    """Counts the nodes that building would make, aliases expanded, without making them."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack: list[tuple[yaml.Node, int, bool]] = [(root, 1, False)]
    while stack:
        node, depth, done = stack.pop()
        if done:
            open_nodes.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in _children(node))
            if sizes[id(node)] > limits.yaml_nodes:
                raise rejected(
                    "KNR2003", f"expands to more than {limits.yaml_nodes} nodes", origin=position(file, node.start_mark)
                )
            continue
        if id(node) in open_nodes or depth > limits.yaml_depth:
            what = "an alias inside itself" if id(node) in open_nodes else f"nested deeper than {limits.yaml_depth}"
            raise rejected("KNR2003", what, origin=position(file, node.start_mark))
        if id(node) in sizes:
            continue
        if isinstance(node, yaml.ScalarNode):
            sizes[id(node)] = 1
            continue
        open_nodes.add(id(node))
        stack.append((node, depth, True))
        stack.extend((child, depth + 1, False) for child in _children(node))


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return []


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _PLAIN and resolve(node.value) is None


class _Builder:
    """Node tree to value, by kubectl's rules."""

    def __init__(self, file: str, strict: bool) -> None:
        self._file = file
        self._strict = strict

    def build(self, node: yaml.Node) -> Any:
        match node:
            case yaml.MappingNode():
                return self._mapping(node)
            case yaml.SequenceNode():
                return [self.build(child) for child in node.value]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        built: dict[str, Any] = {}
        written: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                self._merge(built, value_node)
                continue
            key = self._key(key_node)
            if self._strict and key in written:
                raise rejected("KNR2005", f"{key!r} is given twice", origin=position(self._file, key_node.start_mark))
            written.add(key)
            built[key] = self.build(value_node)
        return built

    def _merge(self, built: dict[str, Any], node: yaml.Node) -> None:
        parts = list(reversed(node.value)) if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise self._refusal(part, "a merge (<<) takes a mapping or a list of mappings")
            built.update(self._mapping(part))

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._refusal(node, "a mapping or list cannot be a key")
        value = self._scalar(node, as_key=True)
        if value is None:
            raise self._refusal(node, "null cannot be a key")
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else key_text(value)

    def _scalar(self, node: yaml.Node, *, as_key: bool = False) -> Any:
        if node.tag == _TEXT:
            return node.value
        value = resolve(node.value) if node.tag == _PLAIN else self._tagged(node, node.value)
        if isinstance(value, float) and not math.isfinite(value):
            if as_key:
                return node.value
            raise self._refusal(node, f"{node.value} has no form in JSON")
        if as_key or isinstance(value, str | bool | None):
            return value
        return json_number(value)

    def _tagged(self, node: yaml.Node, text: str) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind == "binary":
            try:
                return base64.b64decode(text, validate=False).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                raise self._refusal(node, "!!binary holds no base64") from None
        value = resolve(text)
        match kind, value:
            case ("null", None) | ("bool", bool()):
                return value
            case ("int", int()) if not isinstance(value, bool):
                return value
            case ("float", int() | float()) if not isinstance(value, bool):
                return float(value)
            case (("null" | "bool" | "int" | "float"), _):
                raise self._refusal(node, f"cannot be read as !!{kind}")
        return text

    def _refusal(self, node: yaml.Node, message: str) -> Rejected:
        return rejected("KNR2001", f"malformed YAML: {message}", origin=position(self._file, node.start_mark))
