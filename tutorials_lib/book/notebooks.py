"""Runs notebooks through papermill, and checks them through nbval."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import nbformat
import papermill

from tutorials_lib.book import chapters
from tutorials_lib.book.scoreboard import write_pages
from tutorials_lib.runs import storage
from tutorials_lib.runs.environment import describe_commit, describe_versions
from tutorials_lib.runs.profiles import PUBLISHED

# Time limit of a cell in seconds; a full grid has none.
CELL_TIMEOUTS = {"smoke": 600, "quick": 1800, "laptop": None, "full": None}
# Those of papermill's own notes that hold on another machine too.
KEPT_NOTES = ("duration", "end_time", "parameters", "version")


def run_notebook(
    source: pathlib.Path,
    target: pathlib.Path,
    parameters: Mapping[str, Any],
    cell_timeout: int | None = None,
) -> None:
    """Executes a notebook and writes the result atomically.

    `parameters` go into a cell after the `parameters` cell, which is left out where the
    notebook is written in its own place. Each cell may take `cell_timeout` seconds;
    None sets no limit. A `ChapterError` says where and why it failed; the cells that
    had run are then kept in the runs folder.
    """
    executed = storage.runs_folder() / "failed" / f"{source.stem}-{os.getpid()}.ipynb"
    for folder in (target.parent, executed.parent):
        storage.check_writable(folder)
    # A kernel's own choice puts figures into the notebook.
    os.environ.pop("MPLBACKEND", None)
    try:
        notebook = papermill.execute_notebook(
            str(source),
            str(executed),
            parameters=parameters,
            cwd=str(source.parent),
            kernel_name="python3",
            execution_timeout=cell_timeout,
            # What cells print is shown as it comes, and tells more.
            progress_bar=False,
            stdout_file=sys.stdout,
            # One that is asked to end amid a cell prints a traceback of its own.
            shutdown_kernel="immediate",
        )
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        # As after `sys.exit(0)`, which papermill takes for success.
        if not all(cell.execution_count for cell in cells if cell.source.strip()):
            raise chapters.ChapterError("a cell ended the kernel.")
        clean_notebook(notebook)
        if target == source:
            notebook.cells = [cell for cell in notebook.cells if not _is_added(cell)]
            notebook.metadata["papermill"]["parameters"] = {}
        storage.write_bytes(target, (nbformat.writes(notebook) + "\n").encode())
    except Exception as error:
        raise chapters.ChapterError(
            f"{source.name} {_explain_failure(error, executed)}\n"
            f"The cells that had run are kept in {executed}"
        ) from error
    executed.unlink()


def _is_added(cell):
    return "injected-parameters" in cell.metadata.get("tags", ())


def _explain_failure(error, executed):
    if isinstance(error, papermill.PapermillExecutionError):
        colour = r"\x1b\[[0-9;]*m"
        trace = re.sub(colour, "", "\n".join(error.traceback[-1:]))
        return chapters.explain_failure(
            error.exec_count, error.ename, error.evalue, error.source, trace
        )
    if isinstance(error, storage.WriteError):
        return f"ran to the end, but {error}"
    said = f"failed: {type(error).__name__}: {error}"
    # Where a disk is full, the notebook may be cut.
    with contextlib.suppress(Exception):
        cells = nbformat.read(executed, 4).cells
        begun = [cell for cell in cells if cell.metadata.papermill.start_time][-1]
        said += f"\nThe last cell that was begun:\n{chapters.quote_start(begun.source)}"
    return said


def clean_notebook(notebook: nbformat.NotebookNode) -> None:
    """Drops what differs from run to run without meaning.

    It removes stderr, the times of single cells, and papermill's paths. The notes that
    it keeps say when the notebook ran and for how long. It adds commit and versions,
    and to each cell that drew pictures a hash of them.
    """
    notes = notebook.metadata["papermill"]
    notebook.metadata["papermill"] = {name: notes[name] for name in KEPT_NOTES}
    commit = describe_commit()
    changed = ", with changes" if commit["clean"] is False else ""
    notebook.metadata["tutorials"] = {
        "commit": (commit["commit"] or "unknown")[:10] + changed,
        "versions": ", ".join(map(" ".join, describe_versions().items())),
    }
    for cell in notebook.cells:
        for name in ("papermill", "execution", "pictures"):
            cell.metadata.pop(name, None)
        if cell.metadata.get("tags") == []:
            cell.metadata.pop("tags")
        if cell.cell_type == "code":
            cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
            if pictures := hash_pictures(cell):
                cell.metadata["pictures"] = pictures


def hash_pictures(cell: nbformat.NotebookNode) -> str | None:
    """Hashes the pictures in a cell's outputs; None if there are none."""
    pictures = [
        [kind, value]
        for output in cell.get("outputs", [])
        for kind, value in sorted(output.get("data", {}).items())
        if kind.startswith("image/")
    ]
    if not pictures:
        return None
    return hashlib.sha256(json.dumps(pictures).encode()).hexdigest()[:16]


def run_chapter(
    source: pathlib.Path, parameters: Mapping[str, Any], output: str | None = None
) -> pathlib.Path:
    """Runs a chapter at a profile; returns the path of the executed notebook.

    `source` and `parameters` are those of `chapters.check_run`. Without `output` the
    notebook goes to `chapters.executed_path`. A `ValueError` refuses an `output` in the
    book, whose notebooks are sources.
    """
    if output is None:
        target = chapters.executed_path(source.stem, parameters)
    else:
        target = pathlib.Path(output).resolve()
        if target.suffix != ".ipynb" or target.is_relative_to(chapters.book_folder()):
            raise ValueError(
                f"output must end in .ipynb and be outside the book (--in-place runs "
                f"the notebook in its place); got {target}."
            )
    run_notebook(source, target, parameters, CELL_TIMEOUTS[parameters["profile"]])
    return target


def refresh_chapter(source: pathlib.Path) -> None:
    """Runs a chapter as it is, and stores the outputs in it.

    At a published profile the page is made from records: a run without one is left out,
    not trained for hours.
    """
    profile = chapters.find_parameters(source)["profile"]
    given = {"max_minutes": 0} if profile in PUBLISHED else {}
    run_notebook(source, source, given, CELL_TIMEOUTS[profile])
    # The status page says when each chapter was last run.
    write_pages()


# Pictures differ between machines: from the first line of a drawing to its last.
SANITIZE = r"""[svg]
regex: (?s)<\?xml.*</svg>\s*
replace: a drawing
"""


def check_notebooks(sources: Iterable[pathlib.Path]) -> int:
    """Runs notebooks at profile `smoke` and compares each output with the stored one.

    Each is copied with the smoke parameters and the stored outputs, and strict nbval
    runs the copy; cells tagged `nbval-ignore-output` run without being compared. Each
    stored picture is compared with the hash that was noted when it was drawn. Returns
    the exit status, 0 if all is as stored.
    """
    altered = False
    with tempfile.TemporaryDirectory(prefix="tutorials-check-") as name:
        folder = pathlib.Path(name)
        for source in sources:
            notebook = papermill.execute_notebook(
                str(source),
                str(folder / source.name),
                {"profile": "smoke"},
                prepare_only=True,
                kernel_name="python3",
            )
            for cell in notebook.cells:
                noted = cell.metadata.get("pictures")
                if noted and hash_pictures(cell) != noted:
                    altered = True
                    print(
                        f"{source.name}: a stored picture is not the one that this "
                        f"cell drew; `tutorials run --in-place` draws it again:\n"
                        f"{chapters.quote_start(cell.source)}"
                    )
        (folder / "sanitize.cfg").write_text(SANITIZE)
        command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
        command += [f"--nbval-cell-timeout={CELL_TIMEOUTS['smoke']}", "-q"]
        command += ["--nbval-sanitize-with", str(folder / "sanitize.cfg"), str(folder)]
        # The project's own pytest settings are for its tests, not for these copies.
        command += ["-c", os.devnull, "--rootdir", str(folder)]
        environment = os.environ | {"TUTORIALS_RUNS": str(folder / "runs")}
        environment.pop("MPLBACKEND", None)
        status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        print("Is the new output right? `tutorials run CHAPTER --in-place` stores it.")
    return status or int(altered)
