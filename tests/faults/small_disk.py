"""A disk that is full on demand: a small tmpfs where the system mounts one, else a limit on the size of files.

Mounting takes root and a container that allows it. A limit (``RLIMIT_FSIZE``) can be laid on a running process anywhere;
its writes fail with EFBIG where those on a full disk fail with ENOSPC.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

BALLAST = "ballast"
_FILL_TRIES = 5


class NoMount(Exception):
    """This system mounts nothing for us."""


class SmallDisk:
    """A tmpfs at a folder of its own. Raises :class:`NoMount`."""

    def __init__(self, folder: Path, mebibytes: int, owner: Mapping[str, int] | None = None) -> None:
        self.folder = folder
        folder.mkdir()
        options = f"size={mebibytes}m,mode=0755" + (f",uid={owner['user']},gid={owner['group']}" if owner else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "motcua-faults", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise NoMount(str(error)) from error
        if done.returncode:
            raise NoMount(done.stderr.strip())

    def fill(self, leave_octets: int) -> None:
        """Take all the room but this much; somebody else may take some of it meanwhile."""
        with (self.folder / BALLAST).open("ab") as ballast:
            for _ in range(_FILL_TRIES):
                free = os.statvfs(self.folder)
                octets = free.f_bavail * free.f_frsize - leave_octets
                if octets <= 0:
                    return
                with suppress(OSError):
                    os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, octets)

    def release(self) -> None:
        """Room again."""
        (self.folder / BALLAST).unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, though somebody may still look at it."""
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)


def limit_files(pids: Iterable[int], octets: int | None, owner: Mapping[str, int] | None = None) -> None:
    """Let these processes write no file beyond so many octets; None: as far as they like.

    Args:
        owner: the user and group they run as, as subprocess takes them; root itself may not do it to others everywhere (CAP_SYS_RESOURCE).
    """
    soft = "unlimited" if octets is None else str(octets)
    for pid in pids:
        command = ["prlimit", f"--pid={pid}", f"--fsize={soft}:"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **(owner or {}))
        gone = not Path(f"/proc/{pid}").exists()
        assert done.returncode == 0 or gone, done.stderr
