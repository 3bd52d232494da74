"""`knarr status` against an API that answers with foreign words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from knarr.cli.api import Api
from knarr.cli.commands.status import told
from knarr.pipeline.errors import KnarrError

_COMMIT = {"short": "5ede51b", "subject": "evil \x1b[31m"}
_HELD: dict[str, Any] = {
    "revision": "aa",
    "short": "aa",
    "app": "app",
    "state": "held",
    "commit": _COMMIT,
    "held": {"headline": "app would\x1b]0;owned\x07 lose 9", "revert": "git revert x\n"},
    "reasons": [{"code": "KNR3003", "message": "many\x1b[2J"}],
    "losses": [{"clusters": ["c\r1"], "object_count": 9, "objects_before": 10, "objects": ["/ConfigMap/d/c\x1b[1m"]}],
}
_ANSWERS: dict[str, Any] = {
    "/api/v1/summary": {
        "clusters": {"total": 1, "standings": {"healthy": 1}},
        "stages": [],
        "apps": [],
        "sources_unreachable": 1,
    },
    "/api/v1/sources?limit=500": {
        "items": [
            {
                "source": "fleet",
                "reachable": False,
                "since_ms": 1,
                "failure": {"code": "KNR1003", "message": "there is no branch 'nope'"},
            }
        ],
        "metadata": {},
    },
    "/api/v1/revisions?state=held": {"items": []},
    "/api/v1/commits?limit=5": {"items": []},
    "/api/v1/revisions/aa": _HELD,
    "/api/v1/revisions/bb": {**_HELD, "state": "assigned", "held": None, "reasons": [], "losses": []},
    "/api/v1/commits/fleet/5ede51b": {
        "apps": [],
        "failures": [{"code": "KNR2013", "origin": "fleet.yaml:1", "message": "kind is 'Fleat'", "object": ""}],
    },
}


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = _ANSWERS.get(self.path)
        body = found or {"code": "KNR5020", "detail": f"no {self.path}", "next_step": "look"}
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def api() -> Iterator[Api]:
    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield Api(base=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        serving.join(timeout=10.0)


def test_what_is_held_cannot_drive_the_terminal(api: Api) -> None:
    text = told(api, "revisions", "aa", "table")
    assert "knarr approve aa" in text
    ours = text.replace("\x1b[33m\x1b[1m", "").replace("\x1b[0m", "")
    assert all(line.isprintable() for line in ours.split("\n"))


def test_a_revision_that_is_not_held_is_not_called_held(api: Api) -> None:
    text = told(api, "revisions", "bb", "table")
    assert text.startswith("app aa is assigned: 5ede51b")
    assert "approve" not in text


def test_a_commit_that_could_not_be_rendered_says_why(api: Api) -> None:
    text = told(api, "commits", "5ede51b", "table")
    assert text.splitlines()[0].strip() == "fleet.yaml:1 KNR2013 kind is 'Fleat'"


@pytest.mark.parametrize("name", ["a b", "\u00e4", "?x=1", "a#b"])
def test_any_name_is_asked_for_and_the_servers_number_is_shown(api: Api, name: str) -> None:
    with pytest.raises(KnarrError) as refused:
        told(api, "clusters", name, "table")
    assert refused.value.code == "KNR5020"


def test_a_source_that_is_not_read_stands_before_what_is_healthy(api: Api) -> None:
    first, second, *_ = told(api, None, None, "table").split("\n\n")
    assert first == "1 cluster: 1 healthy"
    assert "NOT READ  source fleet" in second
    assert second.endswith("      KNR1003 there is no branch 'nope'")
