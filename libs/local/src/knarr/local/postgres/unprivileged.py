"""How PostgreSQL, which refuses root and users without a name, runs for them: in a user namespace as `nobody`.

Files stay root's, a private home stays private, no user is made. Where the machine allows no user namespace, a real
change of user is tried. Called by `server`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from knarr.pipeline.errors import rejected

_NOBODY = 65534


def prefix_for(folder: Path) -> tuple[str, ...]:
    """The words to put before a PostgreSQL command so that it runs unprivileged and owns `folder`. Raises KNR6114."""
    if os.geteuid() != 0 and _has_a_name(os.geteuid()):
        return ()
    unshare, setpriv = shutil.which("unshare"), shutil.which("setpriv")
    if unshare is not None:
        words = (unshare, "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", "--")
        if _works(*words, "true"):
            return words
    if setpriv is not None and os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
        words = (setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--")
        # It needs every parent folder; we open none of them to the world.
        if _works(*words, "test", "-w", str(folder)):
            return words
    raise rejected("KNR6114", f"cannot run PostgreSQL in {folder} as user {os.geteuid()}")


def _has_a_name(uid: int) -> bool:
    # initdb refuses a user that the machine has no entry for, as containers with arbitrary users have it.
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0
