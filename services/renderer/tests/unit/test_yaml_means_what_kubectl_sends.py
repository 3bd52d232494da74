"""Plain YAML, scalar by scalar, against kubectl itself (`kubectl annotate --local` needs no server)."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from knarr.pipeline.errors import Rejected
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.yaml_kubectl import read_documents

KUBECTL = str(Path(sys.prefix) / "bin" / "kubectl")
REFUSED = "(refused)"
VALUES = [
    "22:22",
    "1:20:30.5",
    "2026-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "y",
    "Y",
    "yes",
    "n",
    "N",
    "No",
    "on",
    "OFF",
    "tRue",
    "0777",
    "0o17",
    "0o8",
    "00",
    "-00",
    "08",
    "-08",
    "09.5",
    "0x1F",
    "0x_1F",
    "0X1f",
    "0xg",
    "0b11",
    "-0b11",
    "0b2",
    "0b",
    "1e3",
    "1e+3",
    "1.0e3",
    "1E5",
    "1e-3",
    "-1e3",
    "1e3_0",
    "1e400",
    "1.0",
    "1.10",
    "1.5",
    ".5",
    "5.",
    "+.5",
    "-.5",
    ".",
    "..",
    "1_000",
    "1__0",
    "_1",
    "1_",
    "+1_0.5",
    "+12",
    "-0",
    "-0.0",
    "1,000",
    "1.2.3",
    "1-2",
    ".inf",
    "-.inf",
    ".nan",
    "NaN",
    "inf",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "1e300",
    "0.0000001",
    "~",
    "Null",
    "",
    "!!str 12",
    "!!str ~",
    "!!str",
    "!!float 3",
    '!!int "3"',
    '!!int "0o17"',
    "!!binary aGVsbG8=",
    '!!float "x"',
    "!!null x",
    '!!bool "yes"',
    "!!bool x",
    '!!null ""',
    "!!timestamp 2026-01-01",
    "!!omap [a: 1]",
    "!foo x",
    '"12"',
    "'yes'",
    "<<",
    "=",
    "|\n    x\n    y",
    ">-\n    x\n    y\n\n    z",
    '"\\x00"',
    '"\\u00e9"',
    "é",
    "{a: &x 1, b: *x}",
    "{<<: {a: 1}, b: 2}",
    "{a: 1, <<: [{a: 2}, {c: 3}]}",
    "{<<: {a: 1}, a: 2}",
    "{a: 2, <<: {a: 1}}",
    "{a: 1, a: 2}",
    "{<<: 3}",
    '{"<<": {a: 1}}',
    # Not here: {yes: 1, "true": 2}. Both keys become "true", and kubectl keeps one of them by chance.
    "{off: 1}",
    "{~: 1}",
    "{0x1F: 1}",
    "{0777: x}",
    "{1e3: 1}",
    "{1.0: 1}",
    "{1.10: a}",
    "{1.5: a}",
    "{1e21: a}",
    "{0.1: a}",
    "{1e-7: a}",
    "{123456.789: a}",
    "{1e15: x}",
    "{2026-01-01: 1}",
    "{[a]: 1}",
    "{.nan: x}",
    "{? a : b}",
    "{a}",
    '[1, "a", ~, yes]',
    "*none",
    "%x",
    "@x",
    "+",
    "-",
]


def ours(text: str) -> Any:
    try:
        return read_documents(text.encode(), "file.yaml", Limits())[0].value["spec"]["v"]
    except Rejected as error:
        return REFUSED if error.code == "KNR2001" else error.code


def kubectls(text: str) -> Any:
    done = subprocess.run(
        [KUBECTL, "annotate", "--local", "-f", "-", "-o", "json", "a=b"], input=text.encode(), capture_output=True
    )
    if done.returncode == 0:
        return json.loads(done.stdout)["spec"]["v"]
    # Only what it says about the text is a refusal; a machine without room is something else.
    return REFUSED if b"error parsing" in done.stderr else done.stderr.decode()


def document(value: str) -> str:
    return f"apiVersion: example.com/v1\nkind: Any\nmetadata: {{name: any}}\nspec:\n  v: {value}\n"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return not isinstance(one, str) and not isinstance(other, str) and float(one) == float(other)
    return json.dumps(one) == json.dumps(other)


def test_every_scalar_means_what_kubectl_makes_of_it() -> None:
    with ThreadPoolExecutor(2) as pool:
        wanted = list(pool.map(kubectls, map(document, VALUES)))
    differing = [
        (v, w, ours(document(v))) for v, w in zip(VALUES, wanted, strict=True) if not same(w, ours(document(v)))
    ]
    assert differing == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"a: [", "KNR2001", id="an open list"),
        pytest.param(b"\xff\xfe\x00", "KNR2004", id="half of a UTF-16 character"),
        pytest.param(b"a: \xf6", "KNR2004", id="Latin-1"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "KNR2003", id="brackets that would overflow the parser's stack"),
        pytest.param(b"- " * 20_000 + b"a", "KNR2003", id="dashes that would overflow the parser's stack"),
        pytest.param(b"a: &a [*a]", "KNR2003", id="an alias inside itself"),
        pytest.param(b"x" * (9 << 20), "KNR2002", id="nine mebibytes"),
        pytest.param(b"---\na: 1\n" * 10_001, "KNR2003", id="ten thousand and one documents"),
    ],
)
def test_hostile_input_is_refused_with_a_number(data: bytes, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_documents(data, "file.yaml", Limits())
    assert caught.value.code == code
    assert caught.value.origin.startswith("file.yaml")
