"""Questions → documents: the flow behind every read of the API.

Reads only; each answer comes from a handful of named queries, filters and pages are made by the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from knarr.pipeline.errors import rejected
from knarr.status.core import view
from knarr.status.core.explain import explain
from knarr.status.core.held import SHORT
from knarr.status.core.page_token import Key, make_token, read_token
from knarr.status.core.question import question
from knarr.status.core.standing import Standing, standing_of_word
from knarr.status.core.summary import Group, Tally, in_stage_order, tally, total
from knarr.status.ports import ReadModel
from knarr.status.record import Clock, now_ms

Parameters = Mapping[str, str]
Document = dict[str, Any]
_NAMES_SHOWN = 200


class Answers:
    """`stage_label`: the label by which clusters are grouped unless a request names another."""

    def __init__(self, read: ReadModel, stage_label: str, clock: Clock = now_ms) -> None:
        self._read = read
        self._stage_label = stage_label
        self._clock = clock

    async def summary(self, parameters: Parameters) -> Document:
        """The fleet at a glance."""
        by = parameters.get("by", self._stage_label)
        stages = tally(_groups(await self._read.rows("stage_counts", by), "stage"))
        apps = tally(_groups(await self._read.rows("app_counts", by, None), "app"))
        whole = total(stages, "all")
        counters = (await self._read.rows("counters"))[0]
        return {
            "at_ms": self._clock(),
            "by": by,
            "clusters": {"total": whole.total, "standings": whole.words()},
            "stages": [_tally(t, "stage") for t in in_stage_order(stages)],
            "apps": [_tally(t, "app") for t in apps],
            "held": counters["held"],
            "sources_unreachable": counters["unreachable"],
        }

    async def clusters(self, parameters: Parameters) -> Document:
        """A page of clusters."""
        limit = _limit(parameters)
        after = _after(parameters, (str,)) or ("",)
        commit = await self._commit_filter(parameters)
        rows = await self._read.rows(
            "list_clusters", parameters.get("by", self._stage_label), after[0], _like(parameters.get("q")),
            parameters.get("stage"), _labels(parameters.get("labels")), _standings(parameters.get("standing")),
            parameters.get("app"), None, *commit, limit + 1,
        )  # fmt: skip
        now = self._clock()
        page = _page(rows, limit, parameters, lambda r: (r["name"],), lambda r: view.cluster(r, now))
        if parameters.get("expand") == "apps":
            await self._with_placements(page["items"])
        return page

    async def cluster(self, name: str, parameters: Parameters) -> Document:
        """One cluster and all its apps. KNR5020 when there is none."""
        rows = await self._read.rows(
            "list_clusters",
            parameters.get("by", self._stage_label),
            "",
            None,
            None,
            None,
            None,
            None,
            name,
            None,
            None,
            1,
        )
        if not rows:
            raise rejected("KNR5020", f"no cluster is called {name[:80]}")
        placements = await self._read.rows("placements", [name], None, None, None, 2_000, None)
        return {**view.cluster(rows[0], self._clock()), "placements": [view.placement(r) for r in placements]}

    async def apps(self, parameters: Parameters) -> Document:
        """A page of apps."""
        limit = _limit(parameters)
        after = _after(parameters, (str,)) or ("",)
        rows = await self._read.rows(
            "list_apps", after[0], None, parameters.get("source"), _like(parameters.get("q")), limit + 1
        )
        shape = await self._app_shape(parameters, None)
        return _page(rows, limit, parameters, lambda r: (r["app"],), shape)

    async def app(self, name: str, parameters: Parameters) -> Document:
        """One app, its placements by page, and its newest revisions. KNR5020 when there is none."""
        rows = await self._read.rows("list_apps", "", name, None, None, 1)
        if not rows:
            raise rejected("KNR5020", f"no app is called {name[:80]}")
        shape = await self._app_shape(parameters, name)
        limit = _limit(parameters)
        after = _after(parameters, (str, str)) or (None, None)
        standings = _standings(parameters.get("standing"))
        placements = await self._read.rows("placements", None, name, *after, limit + 1, standings)
        page = _page(placements, limit, parameters, lambda r: (r["cluster"], r["app"]), view.placement)
        revisions = await self._read.rows("list_revisions", None, None, None, name, None, None, 10)
        return {
            **shape(rows[0]),
            "placements": page["items"],
            "metadata": page["metadata"],
            "revisions": [view.revision(r) for r in revisions],
        }

    async def commits(self, parameters: Parameters) -> Document:
        """A page of commits, newest first."""
        limit = _limit(parameters, 20)
        after = _after(parameters, (int, str, int)) or (None, None, None)
        rows = await self._read.rows(
            "list_commits", *after, parameters.get("source"), parameters.get("sha"), None, limit + 1
        )
        shape = await self._commit_shape()
        return _page(rows, limit, parameters, lambda r: (r["observed_at_ms"], r["source"], r["number"]), shape)

    async def commit(self, source: str, commit: str, parameters: Parameters) -> Document:
        """One commit, and for each app which clusters are on it. KNR5020 when there is none."""
        found = await self._found_commit(source, commit)
        rows = await self._read.rows("list_commits", None, None, None, source, None, found["number"], 1)
        where = await self._read.rows("where_commit_is", source, found["number"], parameters.get("app"), _NAMES_SHOWN)
        shape = await self._commit_shape()
        return {**shape(rows[0]), "apps": [view.commit_app(r) for r in where]}

    async def revisions(self, parameters: Parameters) -> Document:
        """A page of revisions with rollout's verdicts, newest decision first."""
        limit = _limit(parameters)
        after = _after(parameters, (int, str, str)) or (None, None, None)
        rows = await self._read.rows(
            "list_revisions", *after, parameters.get("app"), None, parameters.get("state"), limit + 1
        )
        return _page(rows, limit, parameters, lambda r: (r["decided_at_ms"], r["app"], r["revision"]), view.revision)

    async def revision(self, prefix: str) -> Document:
        """One revision by its id or an unambiguous beginning of it, with its variants. KNR5020, KNR5042."""
        rows = await self._read.rows("list_revisions", None, None, None, None, prefix, None, 3)
        exact = [r for r in rows if r["revision"] == prefix] or rows
        if not exact:
            raise rejected("KNR5020", f"no revision begins with {prefix[:80]}")
        if len({r["revision"] for r in exact}) > 1:
            raise rejected("KNR5042", f"{prefix[:80]} is the beginning of several revisions")
        variants = await self._read.rows("revision_variants", exact[0]["revision"])
        return {**view.revision(exact[0]), "bundles": [_bundle(v) for v in variants]}

    async def sources(self, parameters: Parameters) -> Document:
        """A page of sources."""
        limit = _limit(parameters)
        after = _after(parameters, (str,)) or ("",)
        rows = await self._read.rows("list_sources", after[0], None, limit + 1)
        return _page(rows, limit, parameters, lambda r: (r["source"],), view.source)

    async def events(self, parameters: Parameters) -> Document:
        """A page of events, newest first."""
        limit = _limit(parameters)
        after = _after(parameters, (int,)) or (None,)
        rows = await self._read.rows(
            "list_events", after[0], parameters.get("cluster"), parameters.get("app"), parameters.get("kind"), limit + 1
        )
        return _page(rows, limit, parameters, lambda r: (r["number"],), dict)

    async def explanation(self, parameters: Parameters) -> Document:
        """Why a cluster is not on a commit, in one sentence."""
        cluster, app = parameters["cluster"], parameters["app"]
        source, number = None, None
        if "commit" in parameters:
            source = parameters.get("source") or await self._source_of(app)
            number = (await self._found_commit(source, parameters["commit"]))["number"]
        clusters = await self._one_cluster(cluster, self._stage_label)
        wanted = await self._read.rows("wanted", app, cluster, source, number)
        placements = await self._read.rows("placements", [cluster], app, None, None, 1, None)
        told = explain(question(cluster, app, self._clock(), clusters, wanted, placements))
        return {
            "cluster": cluster,
            "app": app,
            "there": told.there,
            "sentence": told.sentence,
            "code": told.code or None,
            "next_step": told.next_step or None,
        }

    async def map(self, parameters: Parameters) -> Document:
        """Every cluster in columns: names, index of the stage, one letter for how it stands."""
        return columnar(await self.cells(parameters))

    async def cells(self, parameters: Parameters, clusters: Sequence[str] | None = None) -> Sequence[Mapping[str, Any]]:
        """The cells of all clusters or of some: name, stage, standing."""
        by = parameters.get("by", self._stage_label)
        return await self._read.rows("map_cells", by, clusters, parameters.get("app"))

    async def history(self, cluster: str, app: str, parameters: Parameters) -> Document:
        """What the agent said happened, newest first, by its own clock."""
        rows = await self._read.rows("transitions", cluster, app, _limit(parameters))
        return {"items": [{**r, "digest": view.hexadecimal(r["digest"])} for r in rows], "metadata": {}}

    async def _one_cluster(self, name: str, by: str) -> Sequence[Mapping[str, Any]]:
        nothing = (None,) * 5
        return await self._read.rows("list_clusters", by, "", *nothing, name, None, None, 1)

    async def _with_placements(self, items: Sequence[Document]) -> None:
        names = [i["name"] for i in items]
        rows = await self._read.rows("placements", names, None, None, None, 20_000, None)
        held: dict[str, list[Document]] = {name: [] for name in names}
        for row in rows:
            held[row["cluster"]].append(view.placement(row))
        for item in items:
            item["placements"] = held[item["name"]]

    async def _app_shape(self, parameters: Parameters, app: str | None) -> Callable[[Mapping[str, Any]], Document]:
        by = parameters.get("by", self._stage_label)
        rows = await self._read.rows("app_counts", by, app)
        counts = {t.name: t.words() for t in tally(_groups(rows, "app"))}
        nothing = Tally(name="", counts={}).words()

        def stages_of(name: str) -> list[Document]:
            mine = tally(_groups([r for r in rows if r["app"] == name], "stage"))
            return [_tally(t, "stage") for t in in_stage_order(mine)]

        return lambda row: view.app(row, counts.get(row["app"], nothing), stages_of(row["app"]))

    async def _commit_shape(self) -> Callable[[Mapping[str, Any]], Document]:
        newest = {r["source"]: r["number"] for r in await self._read.rows("list_sources", "", None, 1_000)}
        held: dict[tuple[str, int], dict[bool, list[str]]] = {}
        for row in await self._read.rows("held_of_commits"):
            of_commit = held.setdefault((row["source"], row["commit_number"]), {True: [], False: []})
            of_commit[row["current"]].append(row["app"])

        def shape(row: Mapping[str, Any]) -> Document:
            source, number = row["source"], row["number"]
            mine = held.get((source, number), {True: [], False: []})
            return view.commit(row, mine[True], mine[False], newest.get(source) == number)

        return shape

    async def _commit_filter(self, parameters: Parameters) -> tuple[str | None, int | None]:
        if "commit" not in parameters:
            return None, None
        source = parameters.get("source")
        if source is None:
            if "app" not in parameters:
                raise rejected("KNR5021", "`commit` needs `source` or `app`")
            source = await self._source_of(parameters["app"])
        return source, (await self._found_commit(source, parameters["commit"]))["number"]

    async def _source_of(self, app: str) -> str:
        rows = await self._read.rows("list_apps", "", app, None, None, 1)
        if not rows:
            raise rejected("KNR5020", f"no app is called {app[:80]}")
        return str(rows[0]["source"])

    async def _found_commit(self, source: str, commit: str) -> Mapping[str, Any]:
        rows = await self._read.rows("find_commits", source, commit)
        if not rows:
            raise rejected("KNR5020", f"{source[:80]} has no commit {commit[:80]}")
        if len({r["sha"] for r in rows}) > 1:
            raise rejected("KNR5042", f"{commit[:80]} is the beginning of several commits")
        return rows[0]


def columnar(cells: Sequence[Mapping[str, Any]]) -> Document:
    """Cells as columns."""
    stages = list(dict.fromkeys(c["stage"] for c in cells))
    index = {name: number for number, name in enumerate(stages)}
    return {
        "names": [c["name"] for c in cells],
        "stages": stages,
        "stage": [index[c["stage"]] for c in cells],
        "standing": "".join(Standing(c["standing"]).letter for c in cells),
        "letters": {s.letter: s.word for s in Standing},
    }


def _groups(rows: Sequence[Mapping[str, Any]], name: str) -> list[Group]:
    return [Group(name=r[name], standing=Standing(r["standing"]), count=r["clusters"]) for r in rows]


def _tally(t: Tally, name: str) -> Document:
    return {name: t.name, "clusters": t.total, "standings": t.words()}


def _bundle(row: Mapping[str, Any]) -> Document:
    return {
        "digest": view.hexadecimal(row["digest"]),
        "short": (view.hexadecimal(row["digest"]) or "")[:SHORT],
        "object_count": row["object_count"],
        "clusters": row["clusters"][:_NAMES_SHOWN],
        "cluster_count": len(row["clusters"]),
        "objects": row["object_ids"],
        "protected": row["protected_ids"],
    }


def _limit(parameters: Parameters, default: int = 100) -> int:
    return int(parameters.get("limit", default))


def _after(parameters: Parameters, kinds: tuple[type, ...]) -> tuple[Any, ...] | None:
    token = parameters.get("continue")
    return read_token(token, parameters, kinds) if token else None


def _page(
    rows: Sequence[Mapping[str, Any]],
    limit: int,
    parameters: Parameters,
    key: Callable[[Mapping[str, Any]], Key],
    shape: Callable[[Mapping[str, Any]], Document],
) -> Document:
    more = len(rows) > limit
    token = make_token(key(rows[limit - 1]), parameters) if more else None
    return {"items": [shape(r) for r in rows[:limit]], "metadata": {"continue": token}}


def _standings(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [standing_of_word(w).value for w in text.split(",")]
    except KeyError as error:
        raise rejected("KNR5021", f"standing: {text[:80]!r} is not a list of standings") from error


def _labels(text: str | None) -> str | None:
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(key and equals for key, equals, _ in pairs):
        raise rejected("KNR5021", f"labels: {text[:80]!r} is not a list of key=value")
    return json.dumps({key.strip(): value.strip() for key, _, value in pairs})


def _like(text: str | None) -> str | None:
    return None if text is None else text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
