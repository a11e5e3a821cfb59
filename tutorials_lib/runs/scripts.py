"""Runs a chapter's code in this process, for machines without Jupyter."""

import contextlib
import os
import pathlib
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

from tutorials_lib.runs.chapters import (
    ChapterError,
    check_run,
    explain_failure,
    read_code,
)


def run_as_script(chapter: str, profile: str, parameters: Mapping[str, Any]) -> None:
    """Runs the code cells of a chapter, from its own file, as one program.

    What the cells print goes to the terminal, tables as text; figures are drawn and
    not shown. Runs leave their records as ever, and there is no executed notebook.

    Args:
        chapter: Name of a chapter.
        profile: Name of a profile.
        parameters: Values by name, laid over the profile's own.

    Raises:
        ValueError: unknown chapter, profile or parameter, or a value out of range.
        ChapterError: the chapter is not there, or a cell failed.
    """
    path = check_run(chapter, profile, parameters)
    run_cells(path, {"profile": profile, **parameters})


def run_cells(path: str | pathlib.Path, parameters: Mapping[str, Any]) -> None:
    """Does for a notebook anywhere what `run_as_script` does for the book's."""
    path = pathlib.Path(path)
    os.environ["MPLBACKEND"] = "agg"
    # As in a notebook, so that `Study` finds the parameters cell among the others.
    cells: list[str] = []
    names: dict[str, Any] = {"__name__": "__main__", "In": cells}
    with contextlib.chdir(path.parent), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
        for number, (source, tags) in enumerate(read_code(path), start=1):
            cells.append(source)
            try:
                exec(compile(source, f"{path.name}[{number}]", "exec"), names)
            except Exception as error:
                name, trace = type(error).__name__, traceback.format_exc()
                said = explain_failure(number, name, str(error), source, trace)
                raise ChapterError(f"{path.name} {said}") from error
            if "parameters" in tags:
                names.update(parameters)
                given = [f"{name} = {value!r}" for name, value in parameters.items()]
                cells.append("\n".join(["# Parameters", *given]))
            _close_figures()


def _close_figures():
    import matplotlib.pyplot as plt

    plt.close("all")
