"""Annotations that the agent obeys. A word that it does not know would be passed over in silence: `knarr.dev/pruen`
keeps nothing, and an object whose hook has a mistyped name would never be applied. So they are refused here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from knarr.bundle.canonical import Object
from knarr.bundle.hooks import (
    DELETE_POLICIES,
    HELM_DELETE,
    HELM_HOOK,
    HELM_WEIGHT,
    IDLE,
    LARGEST_WAVE,
    LARGEST_WEIGHT,
    ORDINARY,
    RUN,
    split,
)
from knarr.pipeline.names import (
    HOOK_ANNOTATION,
    HOOK_DELETE_ANNOTATION,
    OWNER_LABEL,
    PRUNE_ANNOTATION,
    WAVE_ANNOTATION,
)

_PREFIX = OWNER_LABEL.partition("/")[0] + "/"
RUN_ANNOTATION = f"{_PREFIX}hook-run"  # by which the agent knows its own hooks
_FATES = (f"{_PREFIX}fate", f"{_PREFIX}fate-delay")  # what pods of a simulated cluster come to
_KNOWN = (WAVE_ANNOTATION, HOOK_ANNOTATION, HOOK_DELETE_ANNOTATION, PRUNE_ANNOTATION, *_FATES)
_HELM_WORDS = (*RUN, *ORDINARY, *IDLE)
_LARGEST = {WAVE_ANNOTATION: LARGEST_WAVE, HELM_WEIGHT: LARGEST_WEIGHT}


def annotation_faults(manifest: Object) -> Iterator[str]:
    """What is wrong with the object's annotations, a line each."""
    annotations: Mapping[str, Any] = manifest["metadata"].get("annotations") or {}
    if RUN_ANNOTATION in annotations:
        yield f"{RUN_ANNOTATION} is the agent's own mark of a hook that has run"
    for key in sorted(k for k in annotations if k.startswith(_PREFIX) and k not in (*_KNOWN, RUN_ANNOTATION)):
        yield f"the annotation {key[:80]!r} means nothing{_near(key, _KNOWN)}"
    yield from _words(annotations, HOOK_ANNOTATION, RUN)
    yield from _words(annotations, HELM_HOOK, _HELM_WORDS)
    yield from _words(annotations, HOOK_DELETE_ANNOTATION, DELETE_POLICIES)
    yield from _words(annotations, HELM_DELETE, DELETE_POLICIES)
    for key, largest in _LARGEST.items():
        if key in annotations and not _is_number(annotations[key], largest):
            yield f"{key} is {str(annotations[key])[:40]!r}, not a whole number between -{largest} and {largest}"
    kept = annotations.get(PRUNE_ANNOTATION, "keep")
    if kept != "keep":
        yield f"{PRUNE_ANNOTATION} is {str(kept)[:40]!r}; the only word it knows is 'keep'"


def _words(annotations: Mapping[str, Any], key: str, known: tuple[str, ...]) -> Iterator[str]:
    if key not in annotations:
        return
    words = split(annotations[key])
    if not words:
        yield f"{key} is empty"
    for word in sorted(words - frozenset(known)):
        yield f"{key} does not know {word[:40]!r}{_near(word, known)}"


def _near(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word[:80], known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _is_number(value: object, largest: int) -> bool:
    text = re.sub(r"^[+-]", "", str(value))  # as Helm reads it
    return text.isascii() and text.isdigit() and len(text) <= len(str(largest)) and int(text) <= largest
