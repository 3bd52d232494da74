"""nats-py's client, made to bear what anybody may store in a stream.

A subject is bytes, and a stored message keeps its sender's headers. In nats-py 2.16 a subject that is no UTF-8 ends the
reading of the connection for good, and a `Status` header in a stored message is taken for the server's own word: one
agent could make every service deaf. Both are foreign data, so both are read as such here.
"""

from __future__ import annotations

from typing import Any

import structlog
from nats.aio.client import Client

LOG = structlog.get_logger("knarr.messaging")
_STORED = b"$JS.ACK."
_SERVERS_OWN = ("Status", "Description")


class SturdyClient(Client):  # type: ignore[misc]
    """Use as nats-py's own; `connect` it."""

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Any:
        if headers and reply.startswith(_STORED):
            # It comes from a stream: whatever it says of a status, the server did not say it.
            headers = {name: value for name, value in headers.items() if name not in _SERVERS_OWN}
        return super()._build_message(sid, _text(subject), _text(reply), data, headers)

    async def _process_headers(self, headers: bytes) -> Any:
        try:
            return await super()._process_headers(headers)
        except (ValueError, LookupError) as error:
            # A message without its headers is refused by who opens it; one that never arrives is asked for for ever.
            LOG.warning("headers not readable", error=type(error).__name__)
            return None


def _text(name: bytes) -> bytes:
    """The same name where it is UTF-8, else one that shows its bytes."""
    return name if name.isascii() else name.decode(errors="backslashreplace").encode()
