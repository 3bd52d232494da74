"""What an API server's refusal means: its number, and a line that never quotes a value (I9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from knarr.pipeline.errors import KnarrError, rejected, retryable
from knarr.pipeline.names import ObjectId

_VALUE = re.compile(r'(Invalid value|Unsupported value|Duplicate value): (".*?"|\S+?)(?=: |, |$)', re.DOTALL)
_QUOTED_JSON = re.compile(r"\{.*\}", re.DOTALL)
# The API server's own words for a field that may not change: nothing else is proof.
_IMMUTABLE = ("field is immutable", "is immutable after creation", "may not change once set", "cannot change roleRef")
_TOO_LARGE = (
    "Request entity too large",
    "etcdserver: request is too large",
    "trying to send message larger than max",
    "may not be more than 1048576 bytes",
)
_MAX_TEXT = 600


def refusal(status: int, answer: Mapping[str, Any], identity: ObjectId) -> KnarrError:
    """The numbered error for an unsuccessful answer (a `Status` object)."""
    text = str(answer.get("message") or "")
    reason = str(answer.get("reason") or "")
    code = _code(status, reason, text, answer)
    said = f"{reason or status}: {_without_values(answer, identity)}"[:_MAX_TEXT]
    if code in _PASSING:
        return retryable(code, said, object_id=identity)
    return rejected(code, said, object_id=identity)


_PASSING = frozenset({"KNR4012", "KNR4017", "KNR4018", "KNR4019", "KNR4024", "KNR4026", "KNR4027"})


def _code(status: int, reason: str, text: str, answer: Mapping[str, Any]) -> str:
    if status == 429:
        return "KNR4018"
    if status == 401:
        return "KNR4019"
    if status == 409:
        return "KNR4023" if _causes(answer, "FieldManagerConflict") else "KNR4026"
    if "is being terminated" in text or reason == "NamespaceTerminating" or _causes(answer, "NamespaceTerminating"):
        return "KNR4027"
    if "failed calling webhook" in text:
        return "KNR4017"
    if ("admission webhook" in text and "denied the request" in text) or "ValidatingAdmissionPolicy" in text:
        return "KNR4015"
    if status == 403:
        return "KNR4014" if "exceeded quota" in text else "KNR4011"
    if status == 404:
        return "KNR4016" if text.startswith("namespaces ") else "KNR4010"
    if status == 413 or any(said in text for said in _TOO_LARGE):
        return "KNR4028"
    if status in (400, 405, 406, 415, 422):
        return "KNR4020" if _immutable(text) else "KNR4013"
    if "field not declared in schema" in text or "failed to create typed" in text:
        return "KNR4013"
    return "KNR4012"


def _immutable(text: str) -> bool:
    if "updates to" in text:
        return "are forbidden" in text
    return any(said in text for said in _IMMUTABLE)


def _causes(answer: Mapping[str, Any], reason: str) -> list[Mapping[str, Any]]:
    return [c for c in (answer.get("details") or {}).get("causes") or () if c.get("reason") == reason]


def _without_values(answer: Mapping[str, Any], identity: ObjectId) -> str:
    causes = (answer.get("details") or {}).get("causes") or ()
    secret = identity.startswith("/Secret/")
    if causes:
        return "; ".join(_cause(c, secret=secret) for c in causes[:8])
    if secret:
        return "the server's own words are left out, for they may quote the secret"
    return _masked(str(answer.get("message") or "no reason given"))


def _cause(cause: Mapping[str, Any], *, secret: bool) -> str:
    parts = [str(cause.get("field") or ""), str(cause.get("reason") or "")]
    if not secret or cause.get("reason") == "FieldManagerConflict":
        parts.append(_masked(str(cause.get("message") or "")))
    return " ".join(p for p in parts if p)


def _masked(text: str) -> str:
    text = text.partition("\n")[0]  # what follows is a diff of values
    return _QUOTED_JSON.sub("{…}", _VALUE.sub(r"\1: (not shown)", text))
