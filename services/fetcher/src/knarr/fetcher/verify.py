"""Whether a commit is signed by whom its source pins. Called by fetch, before anything is published.

The commit that the ref names is what counts: it names its whole tree. Its ancestors need no signature.
"""

from __future__ import annotations

from knarr.fetcher.core.source import Signers
from knarr.fetcher.core.sshsig import ARMOR, pinned_key, signer
from knarr.fetcher.ports import OpenPgp, Sighting
from knarr.pipeline.errors import rejected


def signed_by(sighting: Sighting, signers: Signers, openpgp: OpenPgp) -> str:
    """The pinned signer's name; empty when the source pins none. KNR1013 when no pinned one signed."""
    if not signers.pinned:
        return ""
    if not sighting.signature:
        raise rejected("KNR1013", f"commit {sighting.sha[:12]} is not signed")
    if sighting.signature.lstrip().startswith(ARMOR):
        keys = [key for line in signers.ssh if (key := pinned_key(line)) is not None]
        name = signer(sighting.signature, sighting.signed, keys)
    else:
        name = openpgp.signer(sighting.signature, sighting.signed, signers.openpgp)
    if name is None:
        raise rejected("KNR1013", f"commit {sighting.sha[:12]} is signed, but by none of the pinned signers")
    return name
