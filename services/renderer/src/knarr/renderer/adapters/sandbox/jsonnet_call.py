"""Evaluates jsonnet, inside a sandboxed child. Called by launcher.py, asked for by adapters/jsonnet.py.

Writes the result as JSON to standard output; 3 and a message on standard error when jsonnet refuses.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import _gojsonnet

REFUSED = 3
_MOST_STACK = 500


def run(options: dict[str, Any]) -> int:
    """The exit code."""
    codes = {name: json.dumps(value) for name, value in options["values"].items()}
    try:
        result = _gojsonnet.evaluate_file(
            os.path.join(options["root"], options["entry"]),
            jpathdir=[os.path.join(options["root"], path) for path in options["libraries"]],
            max_stack=_MOST_STACK,
            ext_codes=codes,
        )
    except RuntimeError as error:
        sys.stderr.write(str(error))
        return REFUSED
    sys.stdout.write(result)
    return 0
