"""Where the chapters are, and what may be asked of them; all without Jupyter."""

import ast
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from tutorials_lib.runs.profiles import CHAPTERS
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.runs.storage import find_checkout, runs_folder
from tutorials_lib.support.checks import check_choice

# Errors of this package whose message says all: no traceback is shown with them.
SPOKEN = ("ChapterError", "DataError", "RecordError", "WriteError")


class ChapterError(RuntimeError):
    """A chapter cannot be run, or a cell of it failed."""


def book_folder() -> pathlib.Path:
    """Finds the folder of the chapters.

    Raises:
        ChapterError: the package is installed apart from its project.
    """
    checkout = find_checkout()
    if checkout is None:
        raise ChapterError(
            "the chapters are not here: this command works in a checkout of the "
            "project, with the package installed by `pip install --editable .`."
        )
    return checkout / "book"


def executed_path(chapter: str, profile: str) -> pathlib.Path:
    """Where `tutorials run` puts an executed chapter."""
    return runs_folder() / profile / f"{chapter}.ipynb"


def read_code(path: str | pathlib.Path) -> list[tuple[str, tuple[str, ...]]]:
    """Reads the code cells of a notebook.

    Returns:
        List of (source, tags), in order.

    Raises:
        ChapterError: the file is damaged or no notebook.
    """
    try:
        cells = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["cells"]
        return [
            ("".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChapterError(
            f"{path} is no readable notebook ({type(error).__name__}: {error})."
        ) from error


def quote_start(source: str) -> str:
    """Returns the first lines of a cell, by which it is found."""
    return "\n".join(source.splitlines()[:8])


def explain_failure(number: int, name: str, said: str, source: str, trace: str) -> str:
    """Says which cell failed and why; with its start, unless the error says all.

    Args:
        number: The cell's, as it stands in brackets beside it.
        name: Class of the error.
        said: Its message.
        source: Code of the cell.
        trace: Where in it the error was raised.
    """
    failed = f"failed in cell [{number}] with {name}: {said}"
    if name in SPOKEN:
        return failed
    return f"{failed}\nThe cell begins:\n{quote_start(source)}\n{trace[-1500:]}"


def find_parameters(path: str | pathlib.Path) -> dict[str, Any]:
    """Reads the names and defaults of a notebook's `parameters` cell.

    Returns:
        A dict of literals by name.

    Raises:
        ChapterError: the notebook has no such cell, or it holds more than literals.
    """
    cells = [source for source, tags in read_code(path) if "parameters" in tags]
    if len(cells) != 1:
        raise ChapterError(f"{path} must have one cell tagged parameters.")
    try:
        statements: list[Any] = ast.parse(cells[0]).body
    except SyntaxError as error:
        raise ChapterError(f"{path}: the parameters cell is not Python.") from error
    parameters = {}
    for node in statements:
        try:
            (target,) = node.targets
            parameters[target.id] = ast.literal_eval(node.value)
        except (AttributeError, ValueError) as error:
            raise ChapterError(
                f"{path}: line {node.lineno} of the parameters cell must be "
                f"`name = literal`."
            ) from error
    return parameters


def check_run(
    chapter: str, profile: str, parameters: Mapping[str, Any]
) -> pathlib.Path:
    """Refuses what a run would stumble over, before anything starts.

    Args:
        chapter: Name of a chapter.
        profile: Name of a profile.
        parameters: Values by name, laid over the profile's own.

    Returns:
        The chapter's path.

    Raises:
        ValueError: unknown chapter, profile or parameter, or a value out of range.
        ChapterError: the notebook is not there.
    """
    check_choice("chapter", chapter, CHAPTERS)
    path = book_folder() / f"{chapter}.ipynb"
    if not path.is_file():
        raise ChapterError(f"{path} is not there.")
    allowed = [name for name in find_parameters(path) if name != "profile"]
    for name in parameters:
        check_choice("parameter", name, allowed)
    choose_settings(chapter, profile, **parameters)
    return path
