"""A hook is deleted and made again: no object that must not be lost may be one."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.renderer.core.documents import App
from knarr.renderer.core.validate import validate

PROTECTED = (
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
)


def codes(api: str, kind: str, annotations: dict[str, str]) -> set[str]:
    manifest: dict[str, Any] = {"apiVersion": api, "kind": kind, "metadata": {"name": "a", "annotations": annotations}}
    found = validate([manifest], {}, App(), "", {}).failures
    return {f.code for f in found if f.code in ("KNR2608", "KNR2515")}


@pytest.mark.parametrize(("api", "kind"), PROTECTED)
@pytest.mark.parametrize(
    "annotations",
    [
        {"knarr.dev/hook": "post-apply", "knarr.dev/hook-delete-policy": "hook-succeeded"},
        {"helm.sh/hook": "pre-upgrade"},
        {"helm.sh/hook": "pre-install"},
        {"helm.sh/hook": "test"},
    ],
)
def test_a_protected_object_annotated_as_a_hook_is_refused(api: str, kind: str, annotations: dict[str, str]) -> None:
    assert codes(api, kind, annotations) == {"KNR2608"}


def test_what_helm_calls_crd_install_is_an_ordinary_object() -> None:
    assert codes(*PROTECTED[3], {"helm.sh/hook": "crd-install"}) == set()


def test_other_kinds_may_be_hooks() -> None:
    assert codes("batch/v1", "Job", {"knarr.dev/hook": "pre-apply"}) == set()


def test_the_mark_by_which_the_agent_knows_its_hooks_is_not_written_in_git() -> None:
    assert codes("v1", "ConfigMap", {"knarr.dev/hook-run": "abc"}) == {"KNR2515"}
