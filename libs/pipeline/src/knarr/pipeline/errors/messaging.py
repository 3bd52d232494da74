"""KNR7xxx: errors of messages, names, sealing and signing."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "KNR7000",
        "A message value is missing",
        "The generated code and the .proto files disagree.",
        "Run `make proto` and report this as a bug.",
        ErrorKind.BUG,
    ),
    Entry(
        "KNR7001",
        "A message cannot be read",
        "The bytes are garbled, truncated, or of another kind of message.",
        "Look at the dead letter with this number; publish the message again from its source.",
    ),
    Entry(
        "KNR7002",
        "A name is not a DNS label",
        "Cluster, app and source names become NATS subjects and Kubernetes labels.",
        "Rename it: at most 63 characters of a-z, 0-9 and inner hyphens.",
    ),
    Entry(
        "KNR7003",
        "Sealed bytes do not match their address",
        "The blob was cut short, swapped or forged.",
        "The last good state stays. Publish the bundle again (any commit to the app does); see who can write to BLOBS.",
    ),
    Entry(
        "KNR7004",
        "Sealed bytes cannot be opened",
        "The key is not the one that sealed them, or the bytes were changed.",
        "Check that renderer and rollout hold the same bundle master key.",
    ),
    Entry(
        "KNR7005",
        "Content is larger than stated",
        "A blob decompresses beyond the size that its address states.",
        "The last good state stays. Treat the writer of the blob as hostile until explained.",
    ),
    Entry(
        "KNR7006",
        "Plain bytes do not match their digest",
        "The content is not what the assignment or snapshot names.",
        "The last good state stays. Publish the content again.",
    ),
    Entry(
        "KNR7007",
        "An assignment's signature is wrong",
        "It was not signed by the key that this agent trusts.",
        "The last good state stays. If the hub was reinstalled, adopt the cluster again (`knarr up --adopt NAME`).",
    ),
    Entry(
        "KNR7008",
        "A bundle cannot be read",
        "Its header or one of its objects is not canonical JSON.",
        "The last good state stays. Check that hub and agent versions match.",
    ),
    Entry(
        "KNR7010",
        "The broker cannot be reached",
        "NATS is down, or the address or credentials are wrong.",
        "It is tried again with back-off. Check the NATS server and the network.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR7011",
        "The broker did not answer in time",
        "NATS is overloaded, restarting, or refuses the subject.",
        "It is tried again. Look for permission violations in the log.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR7012",
        "A document is too large to publish",
        "One message would exceed the broker's limit (max_payload, 8 MB in our configuration) even when compressed.",
        "Set max_payload to 8MB on a broker of your own; else split the app or the fleet file that it comes from.",
    ),
    Entry(
        "KNR7013",
        "Stored content is missing",
        "A snapshot or bundle that a message names is not in the stream.",
        "It is published again from Git by the fetcher or renderer; the last good state stays meanwhile.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR7014",
        "A report is beyond its bounds",
        "A number, text or list of it is larger than any honest agent sends, or holds control characters.",
        "Nothing of it was taken; other clusters are not touched. Treat the agent that sent it as broken or hostile: "
        "look at its cluster, and take its credential away if nobody can explain it.",
    ),
    Entry(
        "KNR7015",
        "A message has too many elements",
        "It would unfold to far more memory than its bytes; no honest agent sends such a message.",
        "It was not unfolded. Treat the agent that sent it as hostile until explained; take its credential away.",
    ),
    Entry(
        "KNR7016",
        "Handling a message took too long",
        "The database or the broker hung, or the message is more work than any should be.",
        "It is tried again a few times, alone, and then kept as a dead letter. The service's log says what hung.",
    ),
    Entry(
        "KNR7017",
        "A sender has too many dead letters",
        "So many messages of one cluster were refused in a short time that further ones are only counted.",
        "The first ones are kept. Look at that cluster's agent; take its credential away if it is hostile.",
    ),
    Entry(
        "KNR7018",
        "A cluster's reports cost more than their share",
        "So many or such costly reports came from one cluster that opening them would take everybody's time.",
        "They were dropped unread; the newest word on each app is read again later. Look at that cluster's agent.",
    ),
    Entry(
        "KNR7020",
        "A message could not be handled",
        "The program failed on a message that it should bear.",
        "The message is kept as a dead letter and the rest goes on. Report it with the dead letter's log event.",
        ErrorKind.BUG,
    ),
)
