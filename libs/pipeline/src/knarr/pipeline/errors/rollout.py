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
        "KNR3006",
        "Objects that moved here would be deleted",
        "Within the guard's window they belonged to another app, which would lose more than may go unasked.",
        _HELD_NEXT,
    ),
    Entry(
        "KNR3007",
        "The fleet's guards were loosened",
        "A commit made `spec.guards` of fleet.yaml less strict. That commit was still judged by the stricter ones.",
        "Nothing, if it is meant. If not, revert it before the next commit is judged by the new ones.",
    ),
    Entry(
        "KNR3008",
        "Agents hold an app by their own budget",
        "The hub let it pass, but a cluster would lose more than its own agent deletes unasked.",
        _HELD_NEXT,
    ),
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
        "KNR3022",
        "A cluster reports another sealing key without its own word",
        "The key to which assignments are sealed is bound when a cluster enrols. Another one counts only with the "
        "signature of the cluster's signing key: somebody else wrote the report, or the agent has lost its state.",
        "If the agent has lost its state, adopt the cluster (`knarr up --adopt NAME`). If not, find out who publishes "
        "its reports.",
    ),
    Entry(
        "KNR3023",
        "A cluster's report says what cannot be",
        "A key to which nothing can be sealed, a generation that was never reached, or an identity that is no text.",
        "The report is not believed, and nobody else is touched. Look at the agent of that cluster, and at who has its "
        "credential.",
    ),
    Entry(
        "KNR3024",
        "An assignment cannot be sealed for a cluster",
        "The cluster's key does not take it. The other clusters have got theirs.",
        "Adopt the cluster again, so that it enrols with a new key.",
    ),
    Entry(
        "KNR3025",
        "A cluster has a new sealing key",
        "Its report bears the word of the signing key that it enrolled with.",
        "Nothing, if the agent was given new keys. If not, its signing key is in other hands: adopt it anew.",
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
        "KNR3032",
        "What would go is not what was shown",
        "An approval names what was shown. Since then clusters, apps or deletions have changed; nothing was approved.",
        "Look at it again (`knarr status revisions`), and approve what is shown now.",
    ),
    Entry(
        "KNR3033",
        "An approval expired",
        "It was not used up within a day: another app of the clusters did not render. What is left of it is held.",
        "Mend the app that does not render, look at what would go, and approve it again.",
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
    Entry(
        "KNR3042",
        "Another rollout process leads since",
        "This one was replaced; what it wanted to write was refused.",
        "Nothing: it waits for its turn again.",
        ErrorKind.RETRYABLE,
    ),
)
