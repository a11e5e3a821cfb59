"""The folder of what Keras downloads: one process at a time, nothing damaged in it."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator

try:
    import fcntl
except ImportError:
    # Windows has no such locks.
    fcntl = None  # type: ignore[assignment]


def find_downloads() -> pathlib.Path:
    """Finds the folder where Keras keeps what it downloads, by Keras' own rules."""
    home = pathlib.Path("~").expanduser()
    home = (home if os.access(home, os.W_OK) else pathlib.Path("/tmp")) / ".keras"
    home = pathlib.Path(os.environ.get("KERAS_HOME", home)).expanduser()
    if not os.access(home, os.W_OK):
        home = pathlib.Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir())
        home /= ".keras"
    return home / "datasets"


def remove_downloads(patterns: Iterable[str]) -> None:
    """Removes a set's files, or Keras would go on with a damaged one for ever.

    Args:
        patterns: Of the names of its files and folders.
    """
    folder = find_downloads()
    for pattern in patterns:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def hold_downloads() -> Iterator[None]:
    """Has other processes wait: Keras takes a file half downloaded for a whole one."""
    folder = find_downloads()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".tutorials.lock").open("w")
    except OSError:
        # Keras says in its own words where it cannot write.
        lock = None
    with lock or contextlib.nullcontext():
        if lock and fcntl:
            # Some shared file systems have no locks: then as without.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
