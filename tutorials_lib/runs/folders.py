"""Where records and what else a run leaves behind stand."""

import os
import pathlib


def published_folder() -> pathlib.Path:
    """Finds the folder that holds the records of full runs.

    That is TUTORIALS_RECORDS where it is set, `book/records` in a checkout, and
    the copy inside the package elsewhere.
    """
    if chosen := os.environ.get("TUTORIALS_RECORDS"):
        return pathlib.Path(chosen)
    if checkout := find_checkout():
        return checkout / "book" / "records"
    return pathlib.Path(__file__).resolve().parents[1] / "published_records"


def may_publish() -> bool:
    """Tells whether a full run's record goes to the folder of published records.

    It does where the user named that folder and in a checkout, not into an installed
    package.
    """
    return bool(os.environ.get("TUTORIALS_RECORDS")) or find_checkout() is not None


def runs_folder() -> pathlib.Path:
    """Finds the folder for what a run leaves behind, apart from full runs' records.

    That is TUTORIALS_RUNS where it is set, `_runs` in a checkout, and
    `tutorials_runs` in the working directory elsewhere.
    """
    if chosen := os.environ.get("TUTORIALS_RUNS"):
        return pathlib.Path(chosen)
    if checkout := find_checkout():
        return checkout / "_runs"
    return pathlib.Path.cwd() / "tutorials_runs"


def find_checkout() -> pathlib.Path | None:
    """Finds the root of the project that this package is imported from.

    Returns:
        A path, or None where the package is installed apart from its project.
    """
    root = pathlib.Path(__file__).resolve().parents[2]
    return root if (root / "book" / "_toc.yml").is_file() else None
