"""What `knarr vet` finds, and the forms in which continuous integration wants it: text, JSON, SARIF, JUnit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any
from xml.etree import ElementTree

import orjson

from knarr.pipeline.errors import CATALOGUE
from knarr.pipeline.failure import Failure


class Severity(Enum):
    """An error keeps something from being deployed; a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. `app` is empty for what concerns the fleet."""

    severity: Severity
    failure: Failure
    app: str = ""

    @property
    def place(self) -> tuple[str, int, int]:
        """(file, line, column); zero where unknown."""
        return split_origin(self.failure.origin)


def split_origin(origin: str) -> tuple[str, int, int]:
    """file:line:column in its parts."""
    parts = origin.rsplit(":", 2)
    numbers: list[int] = []
    while len(parts) > 1 and parts[-1].isdigit():
        numbers.insert(0, int(parts.pop()))
    line, column = [*numbers, 0, 0][:2]
    return ":".join(parts), line, column


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by place."""
    ranks = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
    return tuple(sorted(dict.fromkeys(findings), key=lambda f: (ranks[f.severity], f.place, f.failure.code, f.app)))


def as_text(findings: Iterable[Finding]) -> str:
    """One line each, as compilers write it, and the next step below."""
    lines: list[str] = []
    for finding in findings:
        failure = finding.failure
        place = failure.origin or "fleet"
        about = f" [{finding.app}]" if finding.app else ""
        lines.append(f"{place}: {finding.severity.value} {failure.code}: {failure.message}{about}")
        if finding.severity is not Severity.NOTE:
            lines.append(f"    next: {failure.next_step}")
    return "".join(f"{line}\n" for line in lines)


def as_json(findings: Iterable[Finding]) -> str:
    """A list of flat objects."""
    listed = [
        {
            "severity": f.severity.value,
            "code": f.failure.code,
            "message": f.failure.message,
            "app": f.app,
            "object": f.failure.object_id,
            "file": f.place[0],
            "line": f.place[1],
            "column": f.place[2],
            "next": f.failure.next_step,
        }
        for f in findings
    ]
    return orjson.dumps(listed, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_sarif(findings: Iterable[Finding], version: str) -> str:
    """SARIF 2.1.0, which code hosts show beside the lines."""
    listed = list(findings)
    codes = sorted({f.failure.code for f in listed})
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "knarr", "version": version, "rules": [_rule(code) for code in codes]}},
                "results": [_result(f) for f in listed],
            }
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_junit(findings: Iterable[Finding], apps: Iterable[str]) -> str:
    """One test case per app and one for the fleet; errors are failures."""
    by_app: dict[str, list[Finding]] = {"": [], **{app: [] for app in sorted(apps)}}
    for finding in findings:
        by_app.setdefault(finding.app, []).append(finding)
    failed = sum(any(f.severity is Severity.ERROR for f in found) for found in by_app.values())
    suite = ElementTree.Element("testsuite", name="knarr vet", tests=str(len(by_app)), failures=str(failed))
    for app, found in by_app.items():
        case = ElementTree.SubElement(suite, "testcase", classname="knarr.vet", name=app or "fleet")
        errors = [f for f in found if f.severity is Severity.ERROR]
        if errors:
            message = f"{len(errors)} errors, first {errors[0].failure.code}"
            ElementTree.SubElement(case, "failure", message=message).text = _printable(as_text(errors))
        others = [f for f in found if f.severity is not Severity.ERROR]
        if others:
            ElementTree.SubElement(case, "system-out").text = _printable(as_text(others))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _rule(code: str) -> dict[str, Any]:
    entry = CATALOGUE.get(code)
    return {
        "id": code,
        "shortDescription": {"text": entry.title if entry else code},
        "fullDescription": {"text": entry.cause if entry else code},
        "help": {"text": entry.next_step if entry else ""},
    }


def _result(finding: Finding) -> dict[str, Any]:
    file, line, column = finding.place
    result: dict[str, Any] = {
        "ruleId": finding.failure.code,
        "level": finding.severity.value,
        "message": {"text": finding.failure.message},
    }
    if file:
        region = {"startLine": max(line, 1), **({"startColumn": column} if column else {})}
        result["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": file}, "region": region}}]
    return result


def _printable(text: str) -> str:
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
