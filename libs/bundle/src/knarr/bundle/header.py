"""An app's policy as the agent needs it: the first line of every bundle, and part of its digest."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from knarr.bundle.bounds import UNBOUNDED, Bounds
from knarr.pipeline.errors import rejected

LONGEST_EXPRESSION = 2_000  # characters of a rule


class Takeover(Enum):
    """What to do with an object that exists already and is not ours."""

    IF_NO_DIFF = "IfNoDiff"
    ALWAYS = "Always"
    NEVER = "Never"


class Conflicts(Enum):
    """What to do when another applier owns a field that the bundle sets."""

    FORCE = "Force"
    REFUSE = "Refuse"


class DeletionPolicy(Enum):
    """What happens to the objects when the app is removed."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredField:
    """JSON pointers that other appliers may own. Empty group, kind or name matches any."""

    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    pointers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRule:
    """CEL rules of the app for one kind; `object` is the live object. Empty expressions are not asked."""

    group: str = ""
    kind: str = ""
    healthy: str = ""
    failed: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The app's policy. Times in seconds. `bounds`: of the app's source, as fleet.yaml sets them."""

    format: int = 1
    app: str = ""
    namespace: str = ""
    prune: bool = True
    deletion: DeletionPolicy = DeletionPolicy.DELETE
    takeover: Takeover = Takeover.IF_NO_DIFF
    conflicts: Conflicts = Conflicts.FORCE
    heal: bool = True
    recreate: bool = False
    depends_on: tuple[str, ...] = ()
    service_account: str | None = None
    ignored_fields: tuple[IgnoredField, ...] = ()
    health_rules: tuple[HealthRule, ...] = ()
    progress_deadline_seconds: float = 600.0
    bounds: Bounds = UNBOUNDED


def header_to_json(header: Header) -> dict[str, Any]:
    """Only what differs from the default is written, so that a new field moves no digest."""
    plain = {f.name: _plain(getattr(header, f.name)) for f in fields(header)}
    default = Header()
    kept = {k: v for k, v in plain.items() if v != _plain(getattr(default, k))}
    return {"format": header.format, **kept}


def header_from_json(document: Any) -> Header:
    """The header in a bundle's first line. KNR7008 when it is of an unknown format or field."""
    if not isinstance(document, dict) or document.get("format") != 1:
        raise rejected("KNR7008", "the bundle's header is of an unknown format")
    known = {f.name for f in fields(Header)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise rejected("KNR7008", f"the bundle's header has unknown fields: {', '.join(unknown)}")
    try:
        return Header(**{key: _typed(key, value) for key, value in document.items()})
    except (TypeError, ValueError) as error:
        raise rejected("KNR7008", f"the bundle's header cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Bounds):
        return {f.name: _plain(v) for f in fields(value) if (v := getattr(value, f.name)) != getattr(UNBOUNDED, f.name)}
    if isinstance(value, IgnoredField | HealthRule):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if getattr(value, f.name)}
    return value


def _typed(key: str, value: Any) -> Any:
    match key:
        case "takeover":
            return Takeover(value)
        case "conflicts":
            return Conflicts(value)
        case "deletion":
            return DeletionPolicy(value)
        case "depends_on":
            return tuple(str(v) for v in value)
        case "ignored_fields":
            return tuple(IgnoredField(**{**v, "pointers": tuple(v.get("pointers", ()))}) for v in value)
        case "health_rules":
            return tuple(HealthRule(**v) for v in value)
        case "bounds":
            given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
            return Bounds(**given)
    return value
