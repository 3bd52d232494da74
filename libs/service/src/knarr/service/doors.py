"""Who may hold a connection to an HTTP server of ours, and for how long without asking anything.

A connection that sends half a request's headers, or nothing, costs its client nothing and the server a socket and
memory for ever: it is closed after `IDLE_SECONDS` without a request being answered, and one address holds so many
connections at most. Bodies have limits of their own where they are read. Used by `serve` (health.py) for every server.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

# Headers come within this, and a connection that waits for its next request is closed after it.
IDLE_SECONDS = 20.0
# One address (many people behind one proxy among them) leaves room for the others.
_PER_ADDRESS = 512
_IN_ALL = 4_096


@dataclass(slots=True)
class Doors:
    """One per server. `middleware` must be the application's outermost."""

    idle_seconds: float = IDLE_SECONDS
    per_address: int = _PER_ADDRESS
    in_all: int = _IN_ALL
    open_by_address: Counter[str] = field(default_factory=Counter)
    _held: dict[asyncio.BaseTransport, _Connection] = field(default_factory=dict)

    def protocol(self, inner: asyncio.Protocol) -> asyncio.Protocol:
        """The server's own protocol, watched."""
        return _Connection(self, inner)

    @property
    def middleware(self) -> Middleware:
        """Says which connections have a request that is being answered."""

        @web.middleware
        async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = self._held.get(request.transport) if request.transport is not None else None
            if connection is None:
                return await handler(request)
            connection.busy()
            try:
                return await handler(request)
            finally:
                connection.idle()

        return answering

    def enter(self, connection: _Connection, transport: asyncio.BaseTransport) -> bool:
        """Whether there is room for one more."""
        address = connection.address
        if len(self._held) >= self.in_all or self.open_by_address[address] >= self.per_address:
            return False
        self.open_by_address[address] += 1
        self._held[transport] = connection
        return True

    def leave(self, connection: _Connection, transport: asyncio.BaseTransport) -> None:
        """It is closed."""
        if self._held.pop(transport, None) is None:
            return
        self.open_by_address[connection.address] -= 1
        if not self.open_by_address[connection.address]:
            del self.open_by_address[connection.address]


class _Connection(asyncio.Protocol):
    """Passes everything on to the server's protocol, and closes what is idle for too long."""

    def __init__(self, doors: Doors, inner: asyncio.Protocol) -> None:
        self._doors, self._inner = doors, inner
        self._transport: asyncio.BaseTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._entered = False
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.address = _address(transport)
        if not self._doors.enter(self, transport):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
            return
        self._transport, self._entered = transport, True
        self._inner.connection_made(transport)
        self.idle()

    def busy(self) -> None:
        """A request is being answered, however long that takes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def idle(self) -> None:
        """From now on a whole request has to come within the limit."""
        self.busy()
        if self._transport is not None:
            self._timer = asyncio.get_running_loop().call_later(self._doors.idle_seconds, self._close)

    def _close(self) -> None:
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._entered:
            return
        self.busy()
        transport, self._transport = self._transport, None
        if transport is not None:
            self._doors.leave(self, transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._entered:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._entered else None

    def pause_writing(self) -> None:
        if self._entered:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._entered:
            self._inner.resume_writing()


def _address(transport: asyncio.BaseTransport) -> str:
    """Of IPv6 the network: one host has as many addresses in it as it likes."""
    peer = transport.get_extra_info("peername")
    try:
        found = ipaddress.ip_address(peer[0])
    except (TypeError, IndexError, ValueError):
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
