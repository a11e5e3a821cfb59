"""Claims on runs, so that several processes may work on one grid."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

try:
    import fcntl
except ImportError:
    # Windows has no such locks: there one process at a time works on a grid.
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def claim_run(path: pathlib.Path) -> Iterator[bool]:
    """Claims a run for this process.

    The claim is a lock, which the system lifts when the process ends, however it ends.

    Args:
        path: Path of the run's record.

    Yields:
        Whether it could be had.
    """
    if fcntl is None:
        yield True
        return
    claim = path.with_suffix(".claim")
    with claim.open("w") as file:
        claimed = _lock(file) and _is_still(file, claim)
        try:
            yield claimed
        finally:
            if claimed:
                claim.unlink(missing_ok=True)


def _lock(file):
    """Locks a file; returns whether no other process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: as on Windows.
        pass
    return True


def _is_still(file, path):
    """Whether a file is the one at a path, which its last holder may have removed."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
