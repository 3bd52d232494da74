"""What a run was given that its messages must not show: values, values files, Secrets among the files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from knarr.bundle.canonical import group_of
from knarr.pipeline.errors import KnarrError
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.spec import Spec
from knarr.renderer.core.tree import Contents, File
from knarr.renderer.core.yaml_kubectl import read_documents

_YAML = (".yaml", ".yml", ".json")
_VALUES = re.compile(r"values.*\.ya?ml")
_ENV = (".env", ".properties")
_SECRET_FIELDS = ("data", "stringData")


def given_to(spec: Spec, contents: Contents, limits: Limits) -> Iterator[Any]:
    """Values whose every scalar is to be hidden in what the tool says."""
    yield spec.options.get("values", {})
    named = frozenset(spec.options.get("values_files", ()))
    for file in spec.files:
        name = file.path.rpartition("/")[2]
        if file.path in named or (spec.renderer == "helm" and _VALUES.fullmatch(name)):
            yield from _documents(file, contents, limits) or (_lines(file, contents),)
        elif spec.renderer == "kustomize" and name.endswith(_ENV):
            yield _assigned(_lines(file, contents))
        elif name.endswith(_YAML) and "/templates/" not in file.path:
            yield from (hidden for d in _documents(file, contents, limits) for hidden in _secrets_in(d))


def _documents(file: File, contents: Contents, limits: Limits) -> tuple[Any, ...]:
    try:
        return tuple(d.value for d in read_documents(contents.read(file.content_id), file.path, limits))
    except KnarrError:
        return ()


def _lines(file: File, contents: Contents) -> list[str]:
    """Of a file that is no YAML (any more) every line counts."""
    return contents.read(file.content_id).decode("utf-8", "replace").splitlines()


def _assigned(lines: Iterable[str]) -> list[str]:
    return [line.partition("=")[2] for line in lines]


def _secrets_in(value: Any) -> Iterator[Any]:
    """Data of Secrets, also in Lists, and what a kustomization's secretGenerator is given."""
    if not isinstance(value, dict):
        return
    for item in value["items"] if isinstance(value.get("items"), list) else ():
        yield from _secrets_in(item)
    if value.get("kind") == "Secret" and not group_of(str(value.get("apiVersion", ""))):
        yield [value.get(field) for field in _SECRET_FIELDS]
    generators = value.get("secretGenerator")
    for generator in generators if isinstance(generators, list) else ():
        if isinstance(generator, dict) and isinstance(generator.get("literals"), list):
            yield _assigned(str(literal) for literal in generator["literals"])
