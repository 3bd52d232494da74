"""The API of a running installation, as the commands ask it. Answers are foreign data: shown, never obeyed."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.cli.install.place import Place, default_state
from knarr.pipeline.errors import CATALOGUE, KnarrError, rejected, retryable

_TIMEOUT_SECONDS = 20.0
_PAGE_ITEMS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Base address and, for writes, the token."""

    base: str
    token: str = field(default="", repr=False)

    def get(self, path: str, **query: str) -> Any:
        """The JSON answer. KNR6211 when nobody answers; the server's own number when it refuses, else KNR6212."""
        return self._ask("GET", path, query, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """As `get`, for a write."""
        return self._ask("POST", path, {}, json.dumps(body).encode())

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """All items of a list, page after page."""
        found: list[dict[str, Any]] = []
        going: str | None = ""
        while going is not None:
            page = self.get(path, limit=str(_PAGE_ITEMS), **query, **({"continue": going} if going else {}))
            found += page["items"]
            going = page["metadata"].get("continue")
        return found

    def _ask(self, method: str, path: str, query: dict[str, str], body: bytes | None) -> Any:
        url = f"{self.base}/api/v1/{urllib.parse.quote(path)}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        if not url.startswith(("http://", "https://")):
            raise rejected("KNR6212", f"{self.base} is not an http address")
        headers = {"Content-Type": "application/json"}
        if method != "GET":
            headers["Authorization"] = f"Bearer {self.token}"
        asked = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except (urllib.error.URLError, TimeoutError, OSError, ValueError) as error:
            raise retryable("KNR6211", f"{self.base} does not answer: {error}") from error


def find_api(state: Path | None, server: str = "") -> Api:
    """The installation on a state folder, or the server named."""
    if server:
        return Api(base=server.rstrip("/"))
    running = Place(state or default_state()).running()
    return Api(base=running.api, token=Path(running.token_file).read_text().strip())


def _refusal(error: urllib.error.HTTPError) -> KnarrError:
    try:
        told = json.load(error)
        code, detail = str(told["code"]), str(told["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return rejected("KNR6212", f"HTTP {error.code}")
    return rejected(code, detail) if code in CATALOGUE else rejected("KNR6212", f"{code} {detail}")
