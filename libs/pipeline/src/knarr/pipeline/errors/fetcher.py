"""KNR1xxx: errors of the fetcher."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "KNR1001",
        "The Git host cannot be reached",
        "The host name does not resolve, the connection is refused or breaks, or the server answers with an error.",
        "It is tried again with back-off; the last commit stays. Check the source's url, the host and the network.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR1002",
        "The repository is empty",
        "It has no commit on any branch.",
        "Push a commit. Until then the last commit that was seen stays, and nothing is deleted.",
    ),
    Entry(
        "KNR1003",
        "The ref does not exist",
        "The branch or tag was deleted or renamed, or no tag lies in the semver range.",
        "Push the ref again or correct the source's ref. Until then the last commit stays, and nothing is deleted.",
    ),
    Entry(
        "KNR1004",
        "The Git host refuses the credentials",
        "The token, password or key is wrong, expired, or may not read this repository; or none was given.",
        "Renew the credential that the source's `auth` names in the fetcher's credentials file.",
    ),
    Entry(
        "KNR1005",
        "The Git host cannot prove who it is",
        "Its SSH host key is not in known_hosts (or differs), or its TLS certificate is not trusted.",
        "Compare the key with the host's owner, then add it to the credential's knownHosts or the CA to the CA bundle.",
    ),
    Entry(
        "KNR1006",
        "There is no such repository",
        "The server or path exists, but not this repository; or this credential must not know of it.",
        "Correct the source's url, or give its `auth` a credential that may read it.",
    ),
    Entry(
        "KNR1007",
        "Git did not answer in time",
        "The host is overloaded or hangs, or the repository is very large for the line.",
        "It is tried again with back-off; the last commit stays. Raise KNARR_GIT_DEADLINE_SECONDS if it is only slow.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR1008",
        "The local mirror is damaged",
        "A crash of the machine or a full disk left a broken repository in the state folder.",
        "Nothing: it is made anew from the Git host. Look at the disk if this comes back.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR1009",
        "The address of a source is refused",
        "Only https://, ssh:// and user@host:path are taken, without password, spaces, `..` or a leading hyphen.",
        "Correct the url. Credentials belong in the fetcher's credentials file, never in the address.",
    ),
    Entry(
        "KNR1010",
        "The pinned commit was not found",
        "No ref of the repository leads to the commit that the source pins.",
        "Correct the source's ref.commit, or push a branch or tag that holds it.",
    ),
    Entry(
        "KNR1011",
        "The commit is larger than allowed",
        "It has too many files, too deep or too long paths, or too much content to fetch.",
        "Remove what does not belong into a fleet repository, narrow the source's `paths`, or raise the limit.",
    ),
    Entry(
        "KNR1012",
        "The commit holds a hostile path",
        "A name in its tree is `.`, `..`, `.git`, empty, or holds a slash: no honest Git client writes that.",
        "Find out who pushed it. The last commit stays.",
    ),
    Entry(
        "KNR1013",
        "The commit is not signed by a pinned signer",
        "The source pins signers, and the commit has no signature, a broken one, or one by another key.",
        "Sign the commit with a pinned key, or add the signer to the source's `verify`. The last commit stays.",
    ),
    Entry(
        "KNR1014",
        "The folder to follow is not in the commit",
        "The source follows one folder of its repository, and this commit has none of that name.",
        "Correct the path, or bring the folder back. The last commit stays, and nothing is deleted.",
    ),
    Entry(
        "KNR1020",
        "The list of sources cannot be read",
        "fleet.yaml is not YAML, or its spec.sources is not a list.",
        "Correct fleet.yaml at the place named. The sources known before are followed on.",
    ),
    Entry(
        "KNR1021",
        "A source in fleet.yaml is wrong",
        "A key is unknown or missing, or a value is not of its kind.",
        "Correct the entry at the place named. The other sources are followed meanwhile.",
    ),
    Entry(
        "KNR1022",
        "Two sources have one name",
        "Names of sources are unique in a fleet, and `fleet` is the fleet repository itself.",
        "Rename the second one. The first keeps the name.",
    ),
    Entry(
        "KNR1023",
        "The credential does not fit the source",
        "The source's `auth` names no credential of the fetcher, or one that is bound to other addresses.",
        "Add the credential, or the source's address to its `urls`, in the fetcher's credentials file.",
    ),
    Entry(
        "KNR1024",
        "The source is no longer listed",
        "fleet.yaml does not name it any more. It is detached: nothing that came from it is deleted.",
        "Nothing, if that was meant. Remove its apps by removing them from the source before the source itself.",
    ),
    Entry(
        "KNR1025",
        "The credentials file is wrong",
        "It is not YAML, or an entry lacks what it needs or names a file that cannot be read.",
        "Correct the entry named. Its values are never shown.",
    ),
    Entry(
        "KNR1030",
        "The webhook's signature is wrong",
        "The secret differs from the fetcher's, the body was changed on the way, or there is no such source.",
        "Set the same secret at the Git host and in the fetcher. Commits are found by polling meanwhile.",
    ),
    Entry(
        "KNR1031",
        "The webhook's body is too large",
        "It is over 1 MiB. A webhook only says *look*; its content is not used.",
        "Let the Git host send push events only.",
    ),
    Entry(
        "KNR1032",
        "Too many wrong webhooks",
        "This address sent many requests with a wrong signature.",
        "Correct the secret at the Git host and wait a minute.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR1040",
        "A source could not be looked at",
        "The program failed where it should not.",
        "It is tried again with back-off; the last commit and all other sources go on. Report it with the log event.",
        ErrorKind.BUG,
    ),
    Entry(
        "KNR1041",
        "The fetcher's state folder cannot be used",
        "The disk is full or read-only, or the file was damaged (then it is made anew).",
        "Look at the volume that holds KNARR_STATE_DIR. Nothing in it is needed for correctness.",
        ErrorKind.RETRYABLE,
    ),
)
