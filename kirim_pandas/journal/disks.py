"""Whether a file lies on a disk of this computer, as far as the system tells."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["network_file_system"]

MOUNTS = Path("/proc/self/mounts")
"""Linux only; elsewhere nothing is known, and nothing is said."""

NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs"),
        *("beegfs", "davfs", "fuse.sshfs", "fuse.rclone", "fuse.gcsfuse", "fuse.s3fs"),
        *("fuse.glusterfs", "fuse.davfs2", "fuse.drivefs", "fuse"),
    }
)
"""Bare ``fuse`` is how a cloud drive is mounted in hosted notebooks; local ones have a suffix."""


def network_file_system(path: Path) -> str | None:
    """Name the file system of `path` if the disk is another computer's; else None."""
    path = path.resolve()
    if str(path).startswith("\\\\"):
        return "a network share"
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return None
    kind, depth = "", 0
    for line in lines:
        _, where, its_kind, *_ = [*line.split(" "), "", ""]
        # Blanks and the like stand as octal numbers.
        place = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), where))
        if path.is_relative_to(place) and len(place.parts) >= depth:  # a later mount hides others
            kind, depth = its_kind, len(place.parts)
    return kind if kind in NETWORK else None
