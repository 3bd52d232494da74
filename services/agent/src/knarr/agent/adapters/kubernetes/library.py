"""kubernetes_asyncio without its 1,200 generated model modules (docs/adr/0005-kubernetes-client.md).

Importing any part of the package imports all of it: 72 MB. The parts that we use (configuration, credentials, session)
need none of the models, so empty stand-ins are put where the generated packages would be, before the first import.
"""

from __future__ import annotations

import sys
import types
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

_PACKAGE = "kubernetes_asyncio"
_SKIPPED = ("client.models", "client.api", "client.apis", "dynamic", "stream", "utils", "watch", "leaderelection")


def load() -> Any:
    """The package with `client` (Configuration, rest) and `config`; safe to call again."""
    if _PACKAGE not in sys.modules:
        _stand_in()
    client = sys.modules[f"{_PACKAGE}.client"]
    client.rest = import_module(f"{_PACKAGE}.client.rest")  # type: ignore[attr-defined]
    client.Configuration = import_module(f"{_PACKAGE}.client.configuration").Configuration  # type: ignore[attr-defined]
    client.ApiClient = type("ApiClient", (), {})  # type: ignore[attr-defined]  # named in annotations, never made here
    import_module(f"{_PACKAGE}.config")
    return sys.modules[_PACKAGE]


def _stand_in() -> None:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(_PACKAGE)
    root = Path(next(iter(spec.submodule_search_locations)))
    _empty_package(_PACKAGE, root)
    _empty_package(f"{_PACKAGE}.client", root / "client")
    for name in _SKIPPED:
        _empty_package(f"{_PACKAGE}.{name}", None)


def _empty_package(name: str, folder: Path | None) -> None:
    spec = ModuleSpec(name, loader=None, is_package=True)
    spec.submodule_search_locations = [str(folder)] if folder else []
    module = module_from_spec(spec) if folder else types.ModuleType(name)
    module.__path__ = [str(folder)] if folder else []
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
