"""Where files stand, how they are written, and who may write them.

A file is written atomically: to a temporary file beside it, then renamed. A run that a
process works on is claimed by a lock, which the system lifts when the process ends.
"""

import contextlib
import os
import pathlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping

import filelock

# How the name of a file begins while it is written.
PARTIAL = ".partial-"
# Bytes that must be free where records go before a run of hours is begun.
ROOM = 2**20


class WriteError(OSError):
    """A file cannot be written; what stood in its place is left as it was."""


def find_checkout() -> pathlib.Path | None:
    """Finds the root of the project; None where the package is apart from it."""
    root = pathlib.Path(__file__).resolve().parents[2]
    return root if (root / "book" / "_toc.yml").is_file() else None


def published_folder() -> pathlib.Path:
    """Finds the folder that holds the published records.

    That is TUTORIALS_RECORDS where it is set, `book/records` in a checkout, and
    the copy inside the package elsewhere.
    """
    checkout, package = find_checkout(), pathlib.Path(__file__).resolve().parents[1]
    home = checkout / "book/records" if checkout else package / "published_records"
    return pathlib.Path(os.environ.get("TUTORIALS_RECORDS") or home)


def runs_folder() -> pathlib.Path:
    """Finds the folder for what a run leaves behind, apart from published records.

    That is TUTORIALS_RUNS where it is set, `_runs` in a checkout, and
    `tutorials_runs` in the working directory elsewhere.
    """
    checkout = find_checkout()
    home = checkout / "_runs" if checkout else pathlib.Path.cwd() / "tutorials_runs"
    return pathlib.Path(os.environ.get("TUTORIALS_RUNS") or home)


def write_changed(texts: Mapping[pathlib.Path, str]) -> list[pathlib.Path]:
    """Writes those texts whose files are missing or differ; returns their paths."""
    changed = []
    for path, text in texts.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_bytes(path, text.encode())
            changed.append(path)
    return changed


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes a file atomically, and makes its folder.

    A `WriteError` says that it cannot be written.
    """
    # Several processes may write it at once.
    partial = path.with_name(f"{PARTIAL}{path.stem}-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise WriteError(
            f"{path} cannot be written ({error.strerror or error}); an earlier file "
            f"there, if any, is left as it was."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def remove_partials(path: pathlib.Path) -> None:
    """Removes what a killed process left of a file that it was writing.

    No other process may be writing it.
    """
    for partial in path.parent.glob(f"{PARTIAL}{path.stem}-*"):
        partial.unlink(missing_ok=True)


def check_writable(folder: pathlib.Path) -> None:
    """Makes a folder and tries it, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise WriteError(
            f"{folder} cannot be written to ({error}). Published records go to "
            f"TUTORIALS_RECORDS, all else to TUTORIALS_RUNS."
        ) from error


@contextlib.contextmanager
def claim_run(path: pathlib.Path) -> Iterator[bool]:
    """Claims a run, by the path of its record; yields whether this process has it.

    Where the file system has no locks every process gets every claim: there one
    process at a time should work on a grid.
    """
    lock, claimed = filelock.FileLock(path.with_suffix(".claim")), True
    try:
        lock.acquire(blocking=False)
    except (NotImplementedError, OSError) as error:
        # Any other error says that there are no locks.
        claimed = not isinstance(error, filelock.Timeout)
    try:
        yield claimed
    finally:
        if lock.is_locked:
            lock.release()
            # Whoever takes it in this moment finds the record.
            path.with_suffix(".claim").unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder() -> Iterator[pathlib.Path]:
    """Makes a folder in the runs folder, and removes it at the end.

    What processes that were killed left of theirs is removed too.
    """
    home = runs_folder() / "scratch"
    check_writable(home)
    for left in filter(pathlib.Path.is_dir, home.iterdir()):
        with claim_run(left) as unused:
            if unused:
                shutil.rmtree(left, ignore_errors=True)
    folder = home / secrets.token_hex(8)
    # Claimed before it is there, so that nobody takes it for one that was left.
    with claim_run(folder):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
