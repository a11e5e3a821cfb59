"""Files written whole or not at all: beside their place, then renamed into it."""

import os
import pathlib
import tempfile

# How the name of a file begins while it is written.
PARTIAL = ".partial-"


class WriteError(OSError):
    """A file cannot be written; what stood in its place is left as it was."""


def write_text(path: str | pathlib.Path, text: str) -> None:
    """Writes a text file beside its place and renames it, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: str | pathlib.Path, content: bytes) -> None:
    """Writes a file beside its place and renames it, whole or not at all.

    Raises:
        WriteError: the disk is full, or the folder is not there or read-only.
    """
    path = pathlib.Path(path)
    partial = None
    try:
        handle, partial = tempfile.mkstemp(
            dir=path.parent, prefix=f"{PARTIAL}{path.stem}-"
        )
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except OSError as error:
        raise WriteError(
            f"{path} cannot be written ({error.strerror or error}); what stood there, "
            f"if anything, is left as it was."
        ) from error
    finally:
        if partial:
            pathlib.Path(partial).unlink(missing_ok=True)


def remove_partials(path: pathlib.Path) -> None:
    """Removes what a killed process left of a run's record and arrays.

    Args:
        path: Path of the record; no other process may be working on that run.
    """
    for partial in path.parent.glob(f"{PARTIAL}{path.stem}-*"):
        partial.unlink(missing_ok=True)
