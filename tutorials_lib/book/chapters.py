"""Where the chapters are, and how one is run as a program, without Jupyter."""

import contextlib
import difflib
import io
import json
import os
import pathlib
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

from tutorials_lib.results.articles import ARTICLES
from tutorials_lib.runs.records import Record, summarise
from tutorials_lib.runs.settings import choose_settings, read_literals
from tutorials_lib.runs.storage import find_checkout, runs_folder
from tutorials_lib.support.data import check_data

# Errors of this package whose message says all: no traceback is shown with them.
SPOKEN = ("ChapterError", "DataError", "RecordError", "RunError", "WriteError")


class ChapterError(RuntimeError):
    """A chapter cannot be run, or a cell of it failed."""


def book_folder() -> pathlib.Path:
    """Finds the folder of the chapters; a `ChapterError` says that it is not here."""
    checkout = find_checkout()
    if checkout is None:
        raise ChapterError(
            "the chapters are not here: use a checkout, `pip install --editable .`."
        )
    return checkout / "book"


def executed_path(chapter: str, parameters: Mapping[str, Any]) -> pathlib.Path:
    """Where `tutorials run` puts an executed chapter.

    With changed settings of a published profile that is a folder of their own.
    """
    protocol = choose_settings(chapter, **parameters).protocol
    return runs_folder() / protocol / f"{chapter}.ipynb"


def read_code(path: pathlib.Path) -> list[tuple[str, tuple[str, ...]]]:
    """Reads the code cells of a notebook, each as (source, tags)."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChapterError(
            f"{path} is no readable notebook ({type(error).__name__}: {error})."
        ) from error
    return [
        ("".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def quote_start(source: str) -> str:
    """Returns the first lines of a cell, by which it is found."""
    return "\n".join(source.splitlines()[:8])


def explain_failure(number: int, name: str, said: str, source: str, trace: str) -> str:
    """Says which cell failed and why; with its start, unless the error says all."""
    failed = f"failed in cell [{number}] with {name}: {said}"
    if name in SPOKEN:
        return failed
    return f"{failed}\nThe cell begins:\n{quote_start(source)}\n{trace[-1500:]}"


def find_parameters(path: pathlib.Path) -> dict[str, Any]:
    """Reads the names of a notebook's `parameters` cell, and their literals."""
    cells = [source for source, tags in read_code(path) if "parameters" in tags]
    if len(cells) != 1:
        raise ChapterError(f"{path} must have one cell tagged parameters.")
    try:
        return read_literals(cells[0])
    except (SyntaxError, ValueError) as error:
        raise ChapterError(f"{path}: the parameters cell: {error}.") from error


def check_run(chapter: str, parameters: Mapping[str, Any]) -> pathlib.Path:
    """Refuses what a run would stumble over; returns the chapter's path.

    `parameters` are the profile, and settings that are laid over the profile's own.

    Raises:
        ValueError: unknown chapter, profile or parameter, or a value out of range.
        ChapterError: the chapters are not here.
        DataError: TUTORIALS_DATA is set and does not hold the chapter's data.
    """
    if choose_settings(chapter, **parameters).source == "real":
        check_data(ARTICLES[chapter]["dataset"])
    return book_folder() / f"{chapter}.ipynb"


def run_as_script(path: pathlib.Path, parameters: Mapping[str, Any]) -> None:
    """Runs the code cells of a chapter, from its own file, as one program.

    What the cells print goes to the terminal, tables as text; figures are drawn and
    not shown. Runs leave their records as ever, and there is no executed notebook.

    Args are those that `check_run` returned and was given. With `only` among the
    parameters, that run is made and nothing is shown of the chapter; a `ChapterError`
    says that it is not planned.
    """
    only = parameters.get("only")
    if only is None:
        run_cells(path, parameters)
        return
    planned = plan_runs(path, parameters)
    if record := planned.get(only):
        print(summarise(record))
        return
    near = difflib.get_close_matches(only, planned, n=3, cutoff=0)
    raise ChapterError(
        f"{path.stem} plans no run {only!r} with these settings. `tutorials run "
        f"{path.stem} --list` with the same ones names its runs, such as "
        f"{', '.join(map(repr, near))}."
    )


def plan_runs(
    path: pathlib.Path, parameters: Mapping[str, Any]
) -> dict[str, Record | None]:
    """Names the runs that a chapter plans: dict of name to the record that is there.

    The chapter's code is run up to its last plan, and what it prints is not shown. With
    `listing` among the parameters no run is made, with `only` one.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        return run_cells(path, parameters, until="study.run(")["study"].planned


def run_cells(
    path: pathlib.Path, parameters: Mapping[str, Any], until: str = ""
) -> dict[str, Any]:
    """Runs the code cells of a notebook anywhere; returns the variables they leave.

    `parameters` go into a cell after the `parameters` cell. What comes after the last
    cell that holds the text `until` is left out.
    """
    code = read_code(path)
    while code and until not in code[-1][0]:
        code.pop()
    os.environ["MPLBACKEND"] = "agg"
    import matplotlib.pyplot as plt

    # As in a notebook, so that `Study` finds the parameters cell among the others.
    cells: list[str] = []
    names: dict[str, Any] = {"__name__": "__main__", "In": cells}
    with contextlib.chdir(path.parent), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
        for number, (source, tags) in enumerate(code, start=1):
            cells.append(source)
            try:
                exec(compile(source, f"{path.name}[{number}]", "exec"), names)
            except Exception as error:
                name, trace = type(error).__name__, traceback.format_exc()
                said = explain_failure(number, name, str(error), source, trace)
                raise ChapterError(f"{path.name} {said}") from error
            if "parameters" in tags:
                # As papermill does, in a cell of their own.
                lines = [f"{name} = {value!r}" for name, value in parameters.items()]
                cells.append("\n".join(["# Parameters", *lines]))
                exec(cells[-1], names)
            plt.close("all")
    return names
