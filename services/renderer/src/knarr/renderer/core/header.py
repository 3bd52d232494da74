"""An app's policy as the agent needs it: knarr.yaml's words become the bundle's header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.bundle.bounds import UNBOUNDED, Bounds
from knarr.bundle.header import Conflicts, DeletionPolicy, Header, HealthRule, IgnoredField, Takeover
from knarr.pipeline.names import AppName
from knarr.renderer.core.documents import App
from knarr.renderer.core.parse import seconds_of


def header_of(name: AppName, app: App, bounds: Bounds = UNBOUNDED) -> Header:
    """The header of every bundle of the app, whose source has `bounds`."""
    policy = app.policy
    default = Header()
    deadline = policy.get("progressDeadline")
    return Header(
        app=name,
        namespace=app.namespace,
        prune=policy.get("prune", default.prune),
        deletion=DeletionPolicy(policy.get("deletionPolicy", default.deletion.value)),
        takeover=Takeover(policy.get("takeover", default.takeover.value)),
        conflicts=Conflicts(policy.get("conflicts", default.conflicts.value)),
        heal=policy.get("heal", default.heal),
        recreate=policy.get("recreate", default.recreate),
        depends_on=tuple(app.depends_on),
        service_account=bounds.service_account or policy.get("serviceAccount"),
        ignored_fields=tuple(_ignored(entry) for entry in policy.get("ignoreFields", ())),
        health_rules=tuple(HealthRule(**entry) for entry in policy.get("healthRules", ())),
        progress_deadline_seconds=seconds_of(deadline) if deadline else default.progress_deadline_seconds,
        bounds=bounds,
    )


def _ignored(entry: Mapping[str, Any]) -> IgnoredField:
    return IgnoredField(**{**entry, "pointers": tuple(entry["pointers"])})
