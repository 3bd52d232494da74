"""KNR3xxx: errors of rollout."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

_HELD_NEXT = "Look at what would go (`knarr status revisions`). Revert the commit, or `knarr approve REVISION`."

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "KNR3001",
        "An app would be removed",
        "Its folder, its document or a target is gone from the commit.",
        _HELD_NEXT,
    ),
    Entry("KNR3002", "An app would be emptied", "The commit renders the app to no object at all.", _HELD_NEXT),
    Entry(
        "KNR3003",
        "An app would lose many objects",
        "More than the allowed share of its objects is missing from the commit; a new kustomization.yaml that lists "
        "only some of a folder's files does this.",
        _HELD_NEXT,
    ),
    Entry(
        "KNR3004",
        "A protected object would be deleted",
        "The commit omits a Namespace, CustomResourceDefinition, PersistentVolume or PersistentVolumeClaim.",
        _HELD_NEXT,
    ),
    Entry("KNR3005", "An app would leave many clusters", "Its targets match fewer clusters than before.", _HELD_NEXT),
    Entry(
        "KNR3010",
        "An object is claimed by two apps",
        "Two apps of one cluster render the same object; the first one keeps it.",
        "Remove the object from one of the two apps, or move it from one to the other in one commit.",
    ),
    Entry(
        "KNR3020",
        "Another cluster reports under a known name",
        "The UID of kube-system differs from the enrolled one: the cluster was rebuilt, or the name is used twice.",
        "If it was rebuilt, adopt it (`knarr up --adopt NAME`); if not, give one of the two another name.",
    ),
    Entry(
        "KNR3021",
        "The cluster obeys another installation",
        "Its agent pinned the epoch of another control plane.",
        "Adopt it (`knarr up --adopt NAME`), or remove it from this fleet.",
    ),
    Entry(
        "KNR3030",
        "No such revision is held",
        "The id is unknown, was superseded by a newer commit, or is not held.",
        "List what is held now with `knarr status revisions` and approve that id.",
    ),
    Entry(
        "KNR3031",
        "The command names no known cluster, app or revision",
        "A plan needs a cluster of this fleet and an app that is assigned there.",
        "Look the names up with `knarr status`.",
    ),
    Entry(
        "KNR3040",
        "Another rollout process leads",
        "Exactly one process writes intent; this one waits.",
        "Nothing: it takes over when the leader stops.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR3041",
        "The database cannot be used",
        "PostgreSQL is down, or the role lacks its schema.",
        "It is tried again. Check the database and the DSN.",
        ErrorKind.RETRYABLE,
    ),
)
