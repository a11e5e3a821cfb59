"""Keras' download folder: one process at a time, no damaged files left behind."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

import filelock


def find_downloads() -> pathlib.Path:
    """Returns the folder of Keras' downloads, found by Keras' own rules."""
    home = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    if not os.access(home, os.W_OK):
        home = pathlib.Path("/tmp/.keras")
    return home / "datasets"


@contextlib.contextmanager
def hold_downloads(pattern: str) -> Iterator[None]:
    """Lets one process download at a time, and removes its files if it fails.

    Keras mistakes a damaged or half-downloaded file for a complete one. `pattern` is a
    glob pattern of the files and folders to remove.
    """
    folder = find_downloads()
    lock = filelock.FileLock(folder / ".tutorials.lock", timeout=600)
    # Continues without a lock if the file system has none, or after ten minutes.
    with contextlib.suppress(OSError, NotImplementedError):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    except Exception:
        for path in list(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise
    finally:
        lock.release()
