"""How an object deviates from a schema, in words that hold no value of it (I9)."""

from __future__ import annotations

from typing import Any


def deviation(error: Any) -> str:
    """One line for a jsonschema-rs error."""
    where = path_text(list(error.instance_path))
    detail = error.kind
    match detail.name:
        case "additionalProperties":
            names = ", ".join(repr(str(name))[:80] for name in detail.unexpected)
            return f"{where} has no field {names}"
        case "required":
            return f"{where} needs {detail.property!r}"
        case "type":
            wanted = " or ".join(t for t in detail.types if t != "null")
            return f"{where} is {type_name(error.instance)}, but must be {wanted}"
        case "enum":
            options = ", ".join(str(o) for o in detail.options if o is not None)
            return f"{where} must be one of {options[:300]}"
        case "oneOfNotValid" | "anyOf" | "oneOfMultipleValid":
            return f"{where} is {type_name(error.instance)}, which fits none of the allowed forms"
    return f"{where} does not satisfy {detail.name}"


def path_text(path: list[str | int]) -> str:
    """spec.containers[0].image"""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "the object"


def type_name(value: Any) -> str:
    """What a value is, without saying it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"
