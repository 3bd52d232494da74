"""The one way out for a talk over HTTP: to the source's own host and port, or through the proxy on the way there.

libgit2 follows a redirect to another port of the host, over plain http to any host, and takes the login along; it can
be told neither, and asks no proxy for plain http. So it talks to a gate on loopback, one for each talk, which connects
to nowhere else, checks the host's certificate, and lets no redirect through. One connection is one request.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

from knarr.fetcher.core.address import shown
from knarr.pipeline.errors import KnarrError, rejected, retryable

_HEAD_BYTES = _PIECE = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9])[0-9]{2}[ \r]")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*\r\n")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n")
_END = b"\r\n0\r\n\r\n"
Place = tuple[str, int]


def trusting(ca_bundle: Path | None) -> ssl.SSLContext:
    """Whom to believe: the machine's authorities, and those of the bundle."""
    context = ssl.create_default_context()
    if ca_bundle is not None:
        context.load_verify_locations(str(ca_bundle))
    return context


class Gate:
    """Use as `with Gate(...) as gate`, and give libgit2 `gate.remote` for the source's address.

    `refusal` says why something was not let through: libgit2 has only a status for it.
    """

    def __init__(self, url: str, proxy: str, trust: Callable[[], ssl.SSLContext], *, seconds: float = 5.0) -> None:
        self._source, self._trust, self._seconds = url, trust, seconds
        self._home = urlsplit(url)
        # Plain http goes directly, as documented.
        self._proxy = urlsplit(proxy) if proxy and self._home.scheme == "https" else None
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._port = 0
        self.refusal: KnarrError | None = None

    @property
    def remote(self) -> str:
        """The address to ask for the source."""
        return f"http://127.0.0.1:{self._port}{self._home.path}"

    def __enter__(self) -> Self:
        listener = self._kept(socket.create_server(("127.0.0.1", 0)))
        self._port = listener.getsockname()[1]
        self._start(self._accept, listener)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            sockets = tuple(self._sockets)
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes who waits on it
            each.close()
        for thread in self._threads:
            thread.join(self._seconds)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._start(self._serve, self._kept(listener.accept()[0]))

    def _serve(self, client: socket.socket) -> None:
        try:
            self._pass_on(client)
        except KnarrError as error:
            self.refusal = error
            with contextlib.suppress(OSError):
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except OSError:
            pass  # libgit2 sees the end of the connection
        finally:
            self._closed(client)

    def _pass_on(self, client: socket.socket) -> None:
        head = _head_of(client)
        upstream = self._connected()
        try:
            upstream.sendall(self._asked(head))
            _send_body(head, client, upstream)
            while True:
                answer = _head_of(upstream)
                found = _STATUS.match(answer)
                if found is None:
                    raise retryable("KNR1001", f"{shown(self._source)} answers with what is no HTTP")
                if found[1] != b"1":
                    break
            if found[1] == b"3":
                message = f"{shown(self._source)} leads on to {_location(answer)}, which it does not name"
                raise rejected("KNR1060", message)
            client.sendall(_closing(answer))
            while piece := upstream.recv(_PIECE):
                client.sendall(piece)
        finally:
            self._closed(upstream)

    def _asked(self, head: bytes) -> bytes:
        """The request as the server wants it; the only one of its connection."""
        fields, _, body = _closing(head).partition(b"\r\n\r\n")
        first, *others = fields.split(b"\r\n")
        kept = [f for f in others if not f.lower().startswith((b"host:", b"expect:"))]
        return b"\r\n".join((first, b"Host: " + self._home.netloc.encode(), *kept, b"", body))

    def _connected(self) -> socket.socket:
        try:
            made = self._dialled(self._home if self._proxy is None else self._proxy)
            if self._home.scheme == "https":
                if self._proxy is not None:
                    self._tunnel(made)
                made = self._wrapped(made, self._home)
            made.settimeout(None)  # libgit2 keeps the time
            return made
        except ssl.SSLCertVerificationError as error:
            raise rejected("KNR1005", f"the certificate of {shown(self._source)} is not trusted") from error
        except TimeoutError as error:
            raise retryable("KNR1007", f"{shown(self._source)} did not answer in time") from error
        except OSError as error:
            message = f"{shown(self._source)}: {error.strerror or type(error).__name__}"
            raise retryable("KNR1001", message) from error

    def _dialled(self, to: SplitResult) -> socket.socket:
        made = self._kept(socket.create_connection(_place(to), self._seconds))
        is_proxy_with_tls = to is self._proxy and to.scheme == "https"
        return self._wrapped(made, to) if is_proxy_with_tls else made

    def _tunnel(self, proxy: socket.socket) -> None:
        assert self._proxy is not None
        host, port = _place(self._home)
        place = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()
        lines = (b"CONNECT " + place + b" HTTP/1.1", b"Host: " + place, *_login(self._proxy), b"", b"")
        proxy.sendall(b"\r\n".join(lines))
        if not re.match(rb"HTTP/1\.[01] 2", _head_of(proxy)):
            raise retryable("KNR1001", f"the proxy does not lead to {shown(self._source)}")

    def _wrapped(self, plain: socket.socket, to: SplitResult) -> socket.socket:
        wrapped = self._trust().wrap_socket(plain, server_hostname=to.hostname)
        with self._lock:
            self._sockets.discard(plain)
        return self._kept(wrapped)

    def _start(self, target: Callable[..., None], *given: Any) -> None:
        thread = threading.Thread(target=target, args=given, daemon=True, name="gate")
        self._threads.append(thread)
        thread.start()

    def _kept(self, made: socket.socket) -> socket.socket:
        with self._lock:
            self._sockets.add(made)
        return made

    def _closed(self, ended: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(ended)
        ended.close()


def _head_of(giver: socket.socket) -> bytes:
    """The head of a request or an answer, and what came with it."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES:
        piece = giver.recv(_PIECE)
        if not piece:
            raise OSError("the other side left")
        head += piece
    return head


def _send_body(head: bytes, client: socket.socket, upstream: socket.socket) -> None:
    """What of the request's body did not come with its head."""
    fields, _, sent = head.partition(b"\r\n\r\n")
    fields += b"\r\n"
    if found := _LENGTH.search(fields):
        left = int(found[1]) - len(sent)
        while left > 0 and (piece := client.recv(min(left, _PIECE))):
            upstream.sendall(piece)
            left -= len(piece)
    elif _CHUNKED.search(fields):
        tail = b"\r\n" + sent
        while not tail.endswith(_END) and (piece := client.recv(_PIECE)):
            upstream.sendall(piece)
            tail = tail[-len(_END) :] + piece


def _closing(head: bytes) -> bytes:
    """A request or an answer after which the connection ends."""
    fields, _, body = head.partition(b"\r\n\r\n")
    kept = [f for f in fields.split(b"\r\n") if b"connection" not in f.split(b":", 1)[0].lower()]
    return b"\r\n".join((*kept, b"Connection: close", b"", body))


def _login(proxy: SplitResult) -> list[bytes]:
    if proxy.username is None:
        return []
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return [b"Proxy-Authorization: Basic " + base64.b64encode(login.encode())]


def _location(answer: bytes) -> str:
    """Where a redirect leads, without what may be secret in it."""
    found = re.search(rb"(?i)\r\nlocation:[ \t]*([^\r\n]*)", answer)
    host, port = _place(urlsplit(found[1].decode("latin-1"))) if found else ("", 0)
    return f"{host[:253]}:{port}" if host else "another path"


def _place(url: SplitResult) -> Place:
    """Host and port; an empty host for what is no address."""
    try:
        return (url.hostname or "").lower(), url.port or _PORTS.get(url.scheme, 0)
    except ValueError:
        return "", 0
