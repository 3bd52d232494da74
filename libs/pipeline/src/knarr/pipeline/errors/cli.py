"""KNR60xx and KNR62xx: errors of settings and of the command line."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "KNR6001",
        "Settings are wrong",
        "An environment variable is missing or of the wrong form; the message lists all of them.",
        "Set what the message names and start the process again.",
    ),
    Entry(
        "KNR6201",
        "No such fleet repository or commit on this machine",
        "The folder, commit or checkout that the command names does not exist here.",
        "Name the fleet repository's folder with --fleet, and a commit, branch or tag that it has.",
    ),
    Entry(
        "KNR6202",
        "Two contexts give one cluster name",
        "A cluster's default name is its context, lower-cased, other characters a hyphen; two contexts came out alike.",
        "Name one of them yourself: --context CONTEXT=NAME.",
    ),
    Entry(
        "KNR6203",
        "There is no fleet repository there",
        "The folder is not in Git, has no commit, or the text is neither a folder nor a URL.",
        "Give a folder below a Git work tree with at least one commit, or a Git URL.",
    ),
    Entry(
        "KNR6204",
        "The fleet repository cannot be read",
        "The Git host is down, the address is wrong, or it wants credentials.",
        "Try `git ls-remote` with the same address.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6205",
        "No installation runs on this state folder",
        "`knarr up` or `knarr demo` is not running, or it uses another --state.",
        "Start it, or give the same --state.",
    ),
    Entry(
        "KNR6206",
        "There is no kubeconfig",
        "--context needs a kubeconfig, and the file does not exist.",
        "Give --kubeconfig FILE, or set KUBECONFIG.",
    ),
    Entry(
        "KNR6207",
        "No cluster was named",
        "`knarr up` runs agents for the clusters that it is told, and it was told none.",
        "Give --context CONTEXT for a real cluster, or --simulate N.",
    ),
    Entry(
        "KNR6208",
        "The kubeconfig has no such context",
        "The context is misspelt, or lies in another file.",
        "`kubectl config get-contexts` lists them.",
    ),
    Entry(
        "KNR6209",
        "Two contexts lead to one cluster",
        "They differ in user or namespace, but the cluster behind them is the same; it can have one agent.",
        "Leave one of them out.",
    ),
    Entry(
        "KNR6210",
        "A part dies again and again",
        "It was started again several times within a minute and died each time.",
        "Read its last words and its log file; both are in the message.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6211",
        "The API does not answer",
        "The installation is stopping, or its status service is being started again.",
        "Try again in a moment; `knarr up` says when a part has died.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6212",
        "The API refused the request",
        "The token is missing or wrong, or the request names something that does not exist.",
        "Read the message; --state must be the folder of the running installation.",
    ),
    Entry(
        "KNR6214",
        "The app has no namespace to have a service account in",
        "An agent acts as a service account of the app's own namespace, and the app names none.",
        "Set `namespace` in its knarr.yaml.",
    ),
    Entry(
        "KNR6215",
        "The cluster did not answer",
        "Its agent is offline or busy, or somebody else asked it for a plan at the same moment.",
        "`knarr status clusters NAME` says when it was last heard; ask again, with a longer --wait.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6220",
        "The demo did not reach its end",
        "A step of the story did not happen within its time.",
        "Read the log files in the demo's state folder, named in the message.",
    ),
)
