"""Landlock: from here on this process and its children read only what is named, and write nothing new.

Needs no root and no user namespace, so a `restricted` pod has it too. Kernel 5.13 for files, 6.7 for TCP. Called in a
forked child, just before the tool; standard library only.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_FILE_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP_RIGHTS = 0b11  # bind, connect
_SCOPES = 0b11  # abstract sockets, signals
_LIBC = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's Landlock version; 0 when it has none."""
    version = _LIBC.syscall(_CREATE, None, 0, _VERSION_FLAG)
    return max(int(version), 0)


def restrict(readable: Iterable[str], executable: Iterable[str]) -> None:
    """Refuses everything but reading below `readable` and running `executable`. OSError if it cannot be."""
    version = abi()
    if version == 0:
        raise OSError("this kernel has no Landlock")
    handled = (1 << _FILE_RIGHTS_OF_ABI.get(version, 16)) - 1
    fields = [handled]
    if version >= 4:
        fields.append(_TCP_RIGHTS)
    if version >= 6:
        fields.append(_SCOPES)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _checked(_LIBC.syscall(_CREATE, attributes, len(attributes), 0))
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in executable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR | _EXECUTE)
        _checked(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_LIBC.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= ~_READ_DIR
        rule = struct.pack("=Qi", rights, handle)
        _checked(_LIBC.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(handle)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)
