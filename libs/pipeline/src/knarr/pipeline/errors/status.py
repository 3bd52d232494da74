"""KNR5xxx: errors of status, its API and enrolment."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "KNR5001",
        "The status service cannot be reached",
        "It is not running, or its address is wrong.",
        "Check `knarr up` or the status deployment, and the address that was given.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR5002",
        "A report is not about its sender",
        "The body names another cluster or app than the subject that the sender may publish on.",
        "Nothing was recorded. Find the message in the dead letters and treat the sending agent as broken or hostile.",
    ),
    Entry(
        "KNR5003",
        "The database does not answer",
        "PostgreSQL is down, overloaded, or refuses the connection.",
        "It is tried again; reports wait in the broker meanwhile. Check the server and KNARR_DATABASE_DSN.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR5004",
        "The database is of another version",
        "A migration is missing, was changed after it was applied, or comes from a newer Knarr.",
        "Run the newest version that ever used this database, or give status an empty schema: it fills it again.",
    ),
    Entry(
        "KNR5005",
        "The database refuses a value",
        "One message holds something that cannot be stored.",
        "Only that message is left out. Look at it in the dead letters.",
    ),
    Entry(
        "KNR5006",
        "A stream is missing or was made anew",
        "Somebody deleted it, or the broker lost its storage.",
        "Status goes on with the new stream by itself; agents and services publish their newest state again.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR5010",
        "A cluster is silent",
        "Its agent is stopped, or cannot reach the broker; or the broker was down.",
        "The cluster goes on with its last good state. Look at the agent's log and at the network between.",
    ),
    Entry(
        "KNR5020",
        "There is no such thing",
        "The name or number is wrong, or the thing was removed.",
        "List what there is: `knarr status`, or the page.",
    ),
    Entry(
        "KNR5021",
        "A parameter is wrong",
        "It is unknown, out of range, or not of the kind that openapi.yaml states.",
        "Compare the request with /api/v1/openapi.yaml.",
    ),
    Entry(
        "KNR5022",
        "The page token does not fit",
        "`continue` was made for other filters, or cut short.",
        "Start again without `continue`.",
    ),
    Entry(
        "KNR5030",
        "A token is needed",
        "Writing needs `Authorization: Bearer <token>`; it was missing or wrong.",
        "Use the token of the file that KNARR_API_TOKEN_FILE names; `knarr up` keeps it in its state folder.",
    ),
    Entry(
        "KNR5031",
        "The Host header is not one of ours",
        "The request was made under another name (DNS rebinding looks like this).",
        "Use the printed address, or add the name to KNARR_HOSTS.",
    ),
    Entry(
        "KNR5032",
        "The request's body is refused",
        "It is not `application/json`, too large, or not of the shape that openapi.yaml states.",
        "Compare the request with /api/v1/openapi.yaml.",
    ),
    Entry(
        "KNR5033",
        "Too many live streams",
        "So many pages listen already that another would harm them.",
        "Close some; the page tries again by itself.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR5040",
        "Rollout did not answer in time",
        "Rollout is down, or busy with something large.",
        "The command waits in the queue and is handled when rollout is back. Look again in a minute.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR5041",
        "The revision is not held",
        "It was approved, superseded or reverted already.",
        "Look at the page or `knarr status` for what is held now.",
    ),
    Entry(
        "KNR5042",
        "The prefix fits several revisions",
        "More than one revision begins so.",
        "Give more digits.",
    ),
    Entry(
        "KNR5050",
        "Something went wrong in the API",
        "The program is wrong.",
        "The log has the cause, with the time of the request. Report it as a bug.",
        ErrorKind.BUG,
    ),
    Entry(
        "KNR5051",
        "A cluster reports apps that nobody knows",
        "Neither Git nor rollout has apps of those names: its agent invents them, or belongs to another fleet.",
        "Their reports were dropped and purged. Find out whose agent it is; take its credential away if it is hostile.",
    ),
    Entry(
        "KNR5053",
        "A cluster has too many events",
        "Its apps go bad and come back so often that its events would push out those of other clusters.",
        "Further ones are counted, and not told for a while; the page shows how its apps stand. Look at that cluster.",
    ),
    Entry(
        "KNR5052",
        "An approval does not name what was shown",
        "`evidence` is missing or not the 64 digits of the held card: what would go may have changed since you looked.",
        "Look again at what would go (`knarr status revisions`, or the page), and approve what you see there.",
    ),
)
