"""How much of a stranger's input is read before it is refused. One frozen value; settings may change it."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on input and output. Sizes in bytes, times in seconds."""

    file_bytes: int = 8 * MEBIBYTE
    document_bytes: int = 256 * 1024
    app_bytes: int = 64 * MEBIBYTE
    app_files: int = 20_000
    yaml_nodes: int = 500_000
    yaml_depth: int = 100
    yaml_documents: int = 10_000
    objects: int = 5_000
    object_bytes: int = 1536 * 1024
    path_bytes: int = 4096
    kustomize_depth: int = 50
    output_bytes: int = 64 * MEBIBYTE
    seconds: float = 30.0
    memory_bytes: int = 1024 * MEBIBYTE
