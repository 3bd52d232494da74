"""The three kinds of error in code, and how one becomes a message."""

from __future__ import annotations

from knarr.pipeline.errors.catalogue import CATALOGUE
from knarr.pipeline.errors.entry import ErrorKind
from knarr.pipeline.failure import Failure


class KnarrError(Exception):
    """A numbered error. `message` never holds an object's body, a credential or a URL with user info."""

    def __init__(self, code: str, message: str, *, object_id: str = "", origin: str = "") -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.object_id = object_id
        self.origin = origin


class Retryable(KnarrError):
    """The world was not ready: the same input may succeed later."""


class Rejected(KnarrError):
    """The input is refused; trying again changes nothing. The last good state stays."""


class Bug(KnarrError):
    """The program is wrong."""


def rejected(code: str, message: str, *, object_id: str = "", origin: str = "") -> Rejected:
    """A refusal of the input."""
    return Rejected(code, message, object_id=object_id, origin=origin)


def retryable(code: str, message: str, *, object_id: str = "", origin: str = "") -> Retryable:
    """A failure that may pass."""
    return Retryable(code, message, object_id=object_id, origin=origin)


def bug(code: str, message: str) -> Bug:
    """A state that must not be."""
    return Bug(code, message)


def failure_of(error: KnarrError) -> Failure:
    """The value that messages and pages carry for `error`."""
    known = CATALOGUE.get(error.code)
    return Failure(
        code=error.code,
        message=error.message[:2000],
        object_id=error.object_id,
        origin=error.origin,
        next_step=known.next_step if known else "",
        retryable=isinstance(error, Retryable) or (known is not None and known.kind is ErrorKind.RETRYABLE),
    )
