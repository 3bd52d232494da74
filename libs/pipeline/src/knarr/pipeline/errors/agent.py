"""KNR4xxx: errors of the agent."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

_KEPT = "The last good state stays. "

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "KNR4001",
        "An assignment is of another epoch",
        "It comes from another installation of the control plane than the one that this agent obeys.",
        _KEPT + "If the hub was replaced on purpose, adopt the cluster: `knarr up --adopt NAME`, or KNARR_ADOPT=true.",
    ),
    Entry(
        "KNR4002",
        "An assignment is for another cluster",
        "The hub stored it on the wrong subject, or somebody copied it.",
        _KEPT + "Look who else can write to ASSIGNMENTS.",
    ),
    Entry(
        "KNR4003",
        "An assignment is for a cluster with another UID",
        "A cluster of this name existed before, or was rebuilt.",
        _KEPT + "Enrol the cluster again so that the hub learns its new UID.",
    ),
    Entry(
        "KNR4004",
        "An assignment is older than one seen before",
        "The hub was restored from a backup, or an old message was stored again.",
        _KEPT + "The hub learns the highest generation from this cluster's reports and goes on above it by itself.",
    ),
    Entry(
        "KNR4005",
        "An assignment requires a feature that this agent does not know",
        "The hub is newer than the agent.",
        _KEPT + "Upgrade the agent.",
    ),
    Entry(
        "KNR4006",
        "The agent's state is of another epoch",
        "This cluster is managed by another installation of the control plane.",
        "To take the cluster over, start the agent once with KNARR_ADOPT=true (`knarr up --adopt NAME`).",
    ),
    Entry(
        "KNR4007",
        "An assignment contradicts itself",
        "An app is named twice, or both assigned and removed.",
        _KEPT + "Report this as a bug of the hub.",
    ),
    Entry(
        "KNR4008",
        "The agent's stored state cannot be read",
        "A Secret in the agent's namespace was edited or is of a newer agent.",
        "Nothing is deleted. Restore the Secret or upgrade the agent; removing its key makes the agent start afresh.",
    ),
    Entry(
        "KNR4009",
        "A bundle has another number of objects than the assignment says",
        "The bundle or the assignment was made wrongly.",
        _KEPT + "Push any commit to the app; report it if it comes again.",
    ),
    Entry(
        "KNR4010",
        "The cluster does not serve this kind",
        "Its CustomResourceDefinition is not installed, or the API version was removed.",
        "Install the CRD (in this app, or in one named in dependsOn), or use a version that the cluster serves.",
    ),
    Entry(
        "KNR4011",
        "The cluster forbids it",
        "The agent's service account (or the one it impersonates for the app) lacks the right.",
        "Grant it: `knarr rbac` prints the minimal role for a bundle.",
    ),
    Entry(
        "KNR4012",
        "The API server did not answer properly",
        "It is starting, overloaded or cut off.",
        "It is tried again with back-off. Check the API server if it lasts.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR4013",
        "The object is invalid",
        "A field is unknown, missing or of the wrong form for this cluster's version.",
        "Mend the manifest; the rest of the app was applied.",
    ),
    Entry(
        "KNR4014",
        "A quota is exhausted",
        "The namespace's ResourceQuota leaves no room.",
        "Raise the quota or ask for less; it is tried again by itself.",
    ),
    Entry(
        "KNR4015",
        "An admission rule denied the object",
        "A webhook or admission policy of the cluster refuses it.",
        "Read its reason; change the manifest or the rule.",
    ),
    Entry(
        "KNR4016",
        "The namespace does not exist",
        "The object names a namespace that neither the app nor the cluster has.",
        "Add a Namespace to the app, or name an existing one.",
    ),
    Entry(
        "KNR4017",
        "An admission webhook cannot be reached",
        "Its service is down, and its failure policy refuses everything meanwhile.",
        "It is tried again by itself. Mend the webhook.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR4018",
        "The API server asks to slow down",
        "It answers 429: too many requests.",
        "It is tried again after the pause that the server asked for.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR4019",
        "The API server does not accept the agent's credentials",
        "The token has expired or was revoked.",
        "The token is read again and the request repeated; check the service account if it lasts.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR4020",
        "An immutable field would change",
        "Kubernetes does not allow this field to be changed after creation.",
        "Rename the object, or set `recreate: true` in the app to have it deleted and created again.",
    ),
    Entry(
        "KNR4021",
        "Another app of this cluster holds the object",
        "Two apps contain the same object.",
        "Remove it from one of them; the first one keeps it meanwhile.",
    ),
    Entry(
        "KNR4022",
        "The object exists already and is somebody else's",
        "The app's takeover policy does not allow to adopt it as it is.",
        "Compare the differences in the report; then set `takeover: Always`, or remove the object.",
    ),
    Entry(
        "KNR4023",
        "Another applier owns a field that the bundle sets",
        "The app's conflict policy is Refuse.",
        "Remove the field from the bundle, list it under ignoredFields, or set `conflicts: Force`.",
    ),
    Entry(
        "KNR4024",
        "The object is being deleted",
        "Somebody deleted it and a finalizer holds it.",
        "It is applied again as soon as it is gone. Look at the finalizer's controller.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR4025",
        "A service account name is empty",
        "The app names a service account to impersonate, and the name is empty.",
        "Name one, or remove the field: an empty name must never mean the agent's own rights.",
    ),
    Entry(
        "KNR4026",
        "The object changed meanwhile",
        "Somebody wrote it between reading and writing.",
        "It is tried again by itself.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR4027",
        "The namespace is being deleted",
        "Nothing can be created in it until it is gone.",
        "It is tried again by itself. Look at what holds the namespace.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR4028",
        "The object is too large",
        "etcd takes about 1.5 MiB per object, and managedFields count too.",
        "Split the object.",
    ),
    Entry(
        "KNR4030",
        "The agent's deletion budget is used up",
        "More than a fifth of the app's objects, or all of them, would be deleted.",
        "If that is meant: `knarr approve REVISION`. The app's other changes are applied.",
    ),
    Entry(
        "KNR4031",
        "Protected objects would be deleted",
        "Namespaces, CRDs and volumes take other things with them.",
        "If that is meant: `knarr approve REVISION`. The app's other changes are applied.",
    ),
    Entry(
        "KNR4032",
        "Apps depend on each other in a circle",
        "Each waits for the next, so none can start.",
        "Remove one `dependsOn`.",
    ),
    Entry(
        "KNR4040",
        "Not healthy before its deadline",
        "The object was applied and has not become ready in the time that the app allows.",
        "Read its message; a later commit, or a recovery of the object, clears this.",
    ),
    Entry(
        "KNR4041",
        "An object failed",
        "Its own status says that it will not become ready by itself.",
        "Read its message; a later commit, or a recovery of the object, clears this.",
    ),
    Entry(
        "KNR4042",
        "An app's health rule cannot be evaluated",
        "The CEL expression is wrong or needs a field that the object does not have.",
        "Mend the rule in knarr.yaml.",
    ),
    Entry(
        "KNR4050",
        "Another controller changes the object back again and again",
        "Two writers fight over the same fields; the agent rests before it heals again.",
        "Stop the other writer, or list the fields under ignoredFields.",
    ),
    Entry(
        "KNR4090",
        "The agent met a state that must not be",
        "A bug in the agent.",
        "The app keeps its last good state and is tried again. Report the log line with this number.",
        ErrorKind.BUG,
    ),
)
