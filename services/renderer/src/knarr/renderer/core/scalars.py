"""What kubectl makes of a plain YAML scalar.

kubectl reads YAML with the resolver of sigs.k8s.io/yaml, which is neither YAML 1.1 nor 1.2: `yes` is true, `0o17` and
`0777` are octal, `22:22` and dates are text, `1e3` is a number. Measured with `kubectl annotate --local`; a test
compares the two again. Called by yaml_kubectl for every plain scalar.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Final

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|0([0-7]+)|([1-9][0-9]*|0))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES: Final = (16, 8, 2, 8, 10)
_FLOAT32_MAX: Final = 3.4e38
_INT64_MIN, _UINT64_MAX = -(1 << 63), (1 << 64) - 1


def resolve(text: str) -> Scalar:
    """The value of the plain scalar `text`. May be infinite or NaN: the caller refuses that."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text[0] == ".":
        return _float(text, text)
    plain = text.replace("_", "")
    integer = _INTEGER.fullmatch(plain)
    if integer is not None:
        value = _integer(integer)
        if _INT64_MIN <= value <= _UINT64_MAX:
            return value
    return _float(plain, text)


def json_number(value: float) -> int | float:
    """The number as it arrives after kubectl's way through JSON: whole numbers are integers where 64 bits hold them."""
    if isinstance(value, int):
        return value if _INT64_MIN <= value < 1 << 63 else float(value)
    if math.isfinite(value) and value.is_integer() and abs(value) < 1 << 63:
        return int(value)
    return value


def _integer(match: re.Match[str]) -> int:
    sign = -1 if match.group(1) == "-" else 1
    digits, base = next((g, b) for g, b in zip(match.groups()[1:], _BASES, strict=True) if g is not None)
    return sign * int(digits, base)


def _float(plain: str, text: str) -> Scalar:
    if len(plain) > 400 or _FLOAT.fullmatch(plain) is None:
        return text
    value = float(plain)
    return value if math.isfinite(value) else text


def key_text(value: float) -> str:
    """A number as a mapping key: kubectl writes floats with the fewest digits that a 32-bit float needs."""
    if isinstance(value, int):
        return str(value)
    if not abs(value) < _FLOAT32_MAX:
        return repr(value)
    single = _single(value)
    text = next(t for p in range(17) if _single(float(t := f"{single:.{p}e}")) == single)
    mantissa, _, exponent = text.partition("e")
    if -4 <= int(exponent) < 6:
        return format(float(text), "f").rstrip("0").rstrip(".") if "." in str(float(text)) else str(float(text))
    return f"{mantissa}e{int(exponent):+03d}"


def _single(value: float) -> float:
    narrowed: float = struct.unpack("f", struct.pack("f", value))[0]
    return narrowed
