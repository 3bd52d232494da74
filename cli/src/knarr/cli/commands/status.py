"""`knarr status`: which commit runs where, and why not."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import click

from knarr.cli.api import Api, find_api
from knarr.cli.tables import Column, Row, age, clean, counts, show, span, standing
from knarr.pipeline.names import object_words

_KINDS = ("clusters", "apps", "commits", "revisions", "sources", "events")
_WITHOUT_ONE = ("sources", "events")
_TIMES = re.compile(r" *\b\d+(\.\d)?[smhd]\b")


@click.command(
    epilog="""\b
Examples:
  knarr status                          the fleet at a glance
  knarr status clusters -o wide
  knarr status clusters prod-eu-1       one cluster and every app in it
  knarr status commits 3f2a91c          where this commit is
  knarr status revisions                what was decided, and what is held
  knarr status --watch
"""
)
@click.argument("kind", type=click.Choice(_KINDS), required=False)
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table")
@click.option("-w", "--watch", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")
@click.option("--state", type=click.Path(path_type=Path), help="State folder of the installation.")
@click.option("--server", default="", metavar="URL", help="Ask this API instead.")
def status(kind: str | None, name: str | None, output: str, watch: bool, state: Path | None, server: str) -> None:
    """Show the fleet, or one list of it: clusters, apps, commits, revisions, sources, events."""
    if name is not None and kind in _WITHOUT_ONE:
        raise click.UsageError(f"`status {kind}` takes no NAME; it lists all")
    api = find_api(state, server)
    if not watch:
        click.echo(told(api, kind, name, output))
        return
    last = ""
    while True:
        now = told(api, kind, name, output)
        if sys.stdout.isatty():
            click.clear()
            click.echo(now)
        elif _TIMES.sub("", now) != last:  # in a file, an age that grows is no change
            click.echo(f"---\n{now}")
            last = _TIMES.sub("", now)
        time.sleep(1.0)


def told(api: Api, kind: str | None, name: str | None, output: str) -> str:
    """The text for one look."""
    if kind is None:
        return _glance(api, output)
    if name is not None:
        return _one(api, kind, name, output)
    rows = api.items(kind) if kind != "commits" else api.get(kind, limit="20")["items"]
    return show(rows, _columns(kind, wide=output == "wide"), output)


def _columns(kind: str, *, wide: bool) -> list[Column]:
    """Those marked with a star are for `-o wide`."""
    return [(name.removeprefix("*"), cell) for name, cell in _COLUMNS[kind] if wide or not name.startswith("*")]


def _glance(api: Api, output: str) -> str:
    summary = api.get("summary")
    if output in ("json", "yaml"):
        return show([summary], [], output)
    stages = show(summary["stages"], [_STAGE, *_TALLY], "table")
    apps = show(summary["apps"], [_APP, *_TALLY], "table")
    newest = api.get("commits", limit="5")["items"]
    commits = show(newest, _columns("commits", wide=False), "table")
    total = summary["clusters"]["total"]
    parts = [f"{total} cluster{'s' * (total != 1)}: {counts(summary['clusters']['standings'])}"]
    if summary["sources_unreachable"]:
        parts += [_unread_text(source) for source in api.items("sources") if source["reachable"] is False]
    parts += [_held_text(revision) for revision in api.get("revisions", state="held")["items"]]
    parts += [_failed_text(commit) for commit in newest if commit["newest"] and commit["state"] == "failed"]
    return "\n\n".join([*parts, stages, apps, commits])


def _held_text(revision: Row) -> str:
    held = revision["held"] or {}
    if revision["state"] != "held":
        lines = [clean(f"{revision['app']} {revision['short']} is {revision['state']}: {_short(revision['commit'])}")]
    else:
        lines = [click.style(clean(f"HELD  {held.get('headline', revision['app'])}"), fg="yellow", bold=True)]
    lines += [clean(f"      {reason['code']} {reason['message']}") for reason in revision["reasons"]]
    lines += [clean(f"      {revision['waits']}")] if revision.get("waits") else []
    if revision["state"] == "held":
        revert = held.get("revert", "revert the commit")
        lines.append(clean(f"      approve: knarr approve {revision['short']}    or: {revert}"))
    return "\n".join(lines)


def _unread_text(source: Row) -> str:
    """Everything may be healthy and still be old: that Git is not read stands first."""
    failure = source["failure"] or {"code": "", "message": "it does not answer"}
    head = clean(f"NOT READ  source {source['source']}, since {age(source['since_ms'])}")
    return "\n".join([click.style(head, fg="red", bold=True), clean(f"      {failure['code']} {failure['message']}")])


def _failed_text(commit: Row) -> str:
    lines = [click.style(clean(f"FAILED  {_short(commit)}"), fg="red", bold=True)]
    lines += _reasons(commit)
    lines += [clean(f"      {f['app']}: {f['code']}, see `knarr status apps`") for f in commit["failed"][:6]]
    return "\n".join(lines)


def _reasons(commit: Row) -> list[str]:
    """What keeps a whole commit from being rendered, such as a mistake in fleet.yaml."""
    found = commit.get("failures") or []
    return [clean(f"      {f['origin'] + ' ' if f['origin'] else ''}{f['code']} {f['message']}") for f in found[:6]]


def _one(api: Api, kind: str, name: str, output: str) -> str:
    if kind == "commits":
        source, _, sha = name.rpartition("/")
        found = api.get(f"commits/{source or 'fleet'}/{sha}")
        if output not in ("table", "wide"):
            return show([found], [], output)
        return "\n".join([*_reasons(found), show(found["apps"], _COMMIT_APPS, output)])
    found = api.get(f"{kind}/{name}")
    if output not in ("table", "wide"):
        return show([found], [], output)
    if kind in ("clusters", "apps"):
        first = "APP" if kind == "clusters" else "CLUSTER"
        columns: list[Column] = [(first, lambda r: r["app" if kind == "clusters" else "cluster"]), *_PLACEMENT]
        return show(found["placements"], columns, output)
    return "\n".join([_held_text(found), *_losses(found)])


def _losses(revision: Row) -> list[str]:
    lines = []
    for loss in revision["losses"]:
        where = clean(", ".join(loss["clusters"]))
        lines.append(f"      in {where}: {loss['object_count']} of {loss['objects_before']} objects")
        lines += [f"        - {clean(object_words(name))}" for name in loss["objects"]]
    return lines


def _short(commit: dict[str, Any] | None) -> str:
    return f"{commit['short']} {commit.get('subject', '')[:40]}".strip() if commit else "-"


def _failure(row: Row) -> str:
    failures = row.get("failures") or row.get("render_failures") or row.get("decision_failures") or []
    if not failures:
        return str(row.get("message", ""))[:80]
    place = f" ({failures[0]['origin']})" if failures[0].get("origin") else ""
    return f"{failures[0]['code']} {failures[0]['message'][:70]}{place}"


def _took(row: Row) -> str:
    known = [s["seconds"] for s in row["stages"] if s["seconds"] is not None]
    return span(sum(known)) if known else "-"


def _seconds(row: Row) -> str:
    return " ".join(f"{s['stage']} {span(s['seconds'])}" for s in row["stages"] if s["seconds"] is not None)


_STAGE: Column = ("STAGE", lambda r: r["stage"] or "-")
_APP: Column = ("APP", lambda r: r["app"])
_TALLY: list[Column] = [
    ("CLUSTERS", lambda r: str(r["clusters"])),
    ("STANDING", lambda r: counts(r["standings"])),
]
_PLACEMENT: list[Column] = [
    ("STANDING", lambda r: standing(r["standing"])),
    ("COMMIT", lambda r: _short(r["commit"])),
    ("DIGEST", lambda r: (r["digest"] or "-")[:12]),
    ("HEARD", lambda r: age(r["heard_at_ms"])),
    ("MESSAGE", _failure),
]
_COMMIT_APPS: list[Column] = [
    ("APP", lambda r: r["app"]),
    ("OUTCOME", lambda r: r["verdict"] or r["outcome"]),
    ("ON", lambda r: f"{r['on']['count']}/{r['clusters']}"),
    ("HEALTHY", lambda r: f"{r['on']['healthy']}/{r['clusters']}"),
    ("NOT YET", lambda r: ", ".join(r["off"]["clusters"][:6]) + ("…" if r["off"]["count"] > 6 else "")),
]
_COLUMNS: dict[str, list[Column]] = {
    "clusters": [
        ("NAME", lambda r: r["name"]),
        ("STAGE", lambda r: r["stage"] or "-"),
        ("STANDING", lambda r: standing(r["standing"])),
        ("APPS", lambda r: counts(r["apps"])),
        ("HEARD", lambda r: age(r["heard_at_ms"])),
        ("*GENERATION", lambda r: f"{r.get('generation_applied', 0)}/{r.get('generation_assigned') or '-'}"),
        ("*KUBERNETES", lambda r: r.get("kubernetes_version", "-")),
        ("*AGENT", lambda r: r.get("agent_version", "-")),
        ("MESSAGE", _failure),
    ],
    "apps": [
        ("APP", lambda r: r["app"]),
        ("SOURCE", lambda r: r["source"]),
        ("COMMIT", lambda r: _short(r["commit"])),
        ("VERDICT", lambda r: r["verdict"] or "-"),
        ("CLUSTERS", lambda r: counts(r["standings"])),
        ("*REVISION", lambda r: (r["revision"] or "-")[:12]),
        ("MESSAGE", _failure),
    ],
    "commits": [
        ("COMMIT", lambda r: r["short"]),
        ("SOURCE", lambda r: r["source"]),
        ("SUBJECT", lambda r: r["subject"][:44]),
        ("STATE", lambda r: r["state"]),
        ("HEALTHY", lambda r: f"{r['deliveries']['healthy']}/{r['deliveries']['total']}"),
        ("TOOK", _took),
        ("AGE", lambda r: age(r["observed_at_ms"])),
        ("*AUTHOR", lambda r: r["author"]),
        ("*STAGES", _seconds),
    ],
    "revisions": [
        ("REVISION", lambda r: r["short"]),
        ("APP", lambda r: r["app"]),
        ("STATE", lambda r: r["state"]),
        ("COMMIT", lambda r: _short(r["commit"])),
        ("DECIDED", lambda r: age(r["decided_at_ms"])),
        ("WHY", lambda r: "; ".join(f"{x['code']} {x['message']}" for x in r["reasons"])[:90]),
    ],
    "sources": [
        ("SOURCE", lambda r: r["source"]),
        ("READ", lambda r: {True: "yes", False: "no", None: "-"}[r["reachable"]]),
        ("COMMIT", lambda r: _short(r["commit"])),
        ("APPS", lambda r: str(r["apps"])),
        ("URL", lambda r: r.get("url", "")),
        ("FAILURE", lambda r: f"{r['failure']['code']} {r['failure']['message'][:80]}" if r["failure"] else ""),
    ],
    "events": [
        ("AGE", lambda r: age(r["at_ms"])),
        ("KIND", lambda r: r["kind"]),
        ("CLUSTER", lambda r: r.get("cluster") or "-"),
        ("APP", lambda r: r.get("app") or "-"),
        ("MESSAGE", lambda r: r["message"][:100]),
    ],
}
