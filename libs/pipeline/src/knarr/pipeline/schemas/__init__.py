"""The published JSON Schemas of the documents: the one truth about which keys a document has.

The renderer checks documents with them, status serves them under /schemas/v1/, editors read them from the repository.
They lie here because a service never imports another.
"""

from __future__ import annotations

from importlib import resources

# File names without their ending: the kinds, in lower case.
SCHEMA_NAMES = ("fleet", "cluster", "app", "rolloutpolicy")


def schema_bytes(name: str) -> bytes:
    """The schema of the kind `name` (lower case), as it is published."""
    return resources.files(__name__).joinpath("v1", f"{name}.json").read_bytes()
