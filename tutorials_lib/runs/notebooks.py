"""Runs notebooks through papermill, and checks them through nbval."""

import errno
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError

from tutorials_lib.runs.chapters import (
    ChapterError,
    book_folder,
    executed_path,
    explain_failure,
    find_parameters,
    quote_start,
)
from tutorials_lib.runs.engine import COLOUR_CODES, KERNEL_ENVIRONMENT, CellOutput
from tutorials_lib.runs.environment import describe_commit, describe_versions
from tutorials_lib.runs.profiles import PUBLISHED
from tutorials_lib.runs.scoreboard import write_pages
from tutorials_lib.runs.storage import (
    WriteError,
    check_writable,
    runs_folder,
    write_bytes,
)

# Time limit of a cell in seconds; a full grid has none.
CELL_TIMEOUTS = {"smoke": 600, "quick": 1800, "laptop": None, "full": None}
# Those of papermill's own notes that hold on another machine too.
KEPT_NOTES = ("duration", "end_time", "parameters", "version")


def read_notebook(path: pathlib.Path) -> nbformat.NotebookNode:
    """Reads a notebook; a `ChapterError` says that it is damaged or no notebook."""
    try:
        return nbformat.read(path, as_version=4)
    # For JSON that is no notebook, nbformat raises nearly any exception.
    except Exception as error:
        raise ChapterError(
            f"{path} is no readable notebook ({type(error).__name__}: {error})."
        ) from error


def _write_notebook(path, notebook):
    write_bytes(path, (nbformat.writes(notebook) + "\n").encode())


def check_output(name: str) -> pathlib.Path:
    """Returns the absolute path of an executed notebook that is to be written.

    A `ValueError` refuses a path that is no notebook, that would overwrite another kind
    of file, or that lies in the book, whose notebooks are sources.
    """
    path = pathlib.Path(name).resolve()
    if path.suffix != ".ipynb" or (path.exists() and not path.is_file()):
        raise ValueError(f"output must be a file that ends in .ipynb; got {path}.")
    if path.is_relative_to(book_folder().resolve()):
        raise ValueError(f"output must be outside the book, or use --in-place: {path}.")
    return path


def run_notebook(
    source: pathlib.Path,
    target: pathlib.Path,
    parameters: Mapping[str, Any],
    cell_timeout: int | None = None,
) -> None:
    """Executes a notebook and writes the result atomically.

    `parameters` go into a cell after the `parameters` cell. Each cell may take
    `cell_timeout` seconds; None sets no limit. A `ChapterError` says where and why it
    failed; the cells that had run are then kept in the runs folder.
    """
    failed = runs_folder() / "failed" / source.name
    for folder in (target.parent, failed.parent):
        check_writable(folder)
    failed.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="tutorials-run-") as scratch:
        executed = pathlib.Path(scratch) / source.name
        try:
            papermill.execute_notebook(
                str(source),
                str(executed),
                engine_name="tutorials",
                parameters=parameters,
                cwd=str(source.parent),
                kernel_name="python3",
                execution_timeout=cell_timeout,
                progress_bar=sys.stderr.isatty(),
                stdout_file=CellOutput(),
            )
            notebook = read_notebook(executed)
            _check_complete(notebook)
            _write_notebook(target, clean_notebook(notebook))
        except Exception as error:
            raise ChapterError(
                f"{source.name} {_explain_failure(error, executed)}\n"
                f"{_keep_what_ran(executed, failed)}"
            ) from error


def _keep_what_ran(executed, failed):
    """Copies a notebook that failed, if whole; says where to, or why not."""
    try:
        _write_notebook(failed, read_notebook(executed))
    except (ChapterError, WriteError) as error:
        return f"The cells that had run are lost: {error}"
    return f"The cells that had run are kept in {failed}"


def _check_complete(notebook):
    """Raises ChapterError if a cell was not run, as after `sys.exit(0)`."""
    for cell in notebook.cells:
        code = cell.cell_type == "code" and cell.source.strip()
        if code and not cell.execution_count:
            raise ChapterError(f"the kernel ended at or before\n{cell.source[:300]}")


def clean_notebook(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drops what differs from run to run without meaning; returns the same notebook.

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
            cell.outputs = [
                output for output in cell.outputs if output.get("name") != "stderr"
            ]
            if pictures := hash_pictures(cell):
                cell.metadata["pictures"] = pictures
    return notebook


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


def _explain_failure(error, executed):
    if isinstance(error, papermill.PapermillExecutionError):
        trace = COLOUR_CODES.sub("", "\n".join(error.traceback[-1:]))
        return explain_failure(
            error.exec_count, error.ename, error.evalue, error.source, trace
        )
    if isinstance(error, DeadKernelError):
        begun = [
            cell.source
            for cell in read_notebook(executed).cells
            if cell.cell_type == "code" and cell.metadata.papermill.start_time
        ]
        return (
            "failed: the kernel died (killed, out of memory, or a crash) in the cell "
            f"that begins\n{quote_start(begun[-1]) if begun else '(none had started)'}"
        )
    if isinstance(error, WriteError):
        return f"ran to the end, but {error}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"failed: there is no space to write {executed} ({error.strerror}). Free "
            f"some, or set TMPDIR to a folder that has some."
        )
    return f"failed: {type(error).__name__}: {error}"


def run_chapter(
    source: pathlib.Path,
    parameters: Mapping[str, Any],
    output: pathlib.Path | None = None,
) -> pathlib.Path:
    """Runs a chapter at a profile; returns the path of the executed notebook.

    `source` and `parameters` are those of `chapters.check_run`. Without `output` the
    notebook goes to the runs folder, see `executed_path`.
    """
    target = output or executed_path(source.stem, parameters)
    run_notebook(source, target, parameters, CELL_TIMEOUTS[parameters["profile"]])
    return target


def refresh_chapter(source: pathlib.Path) -> None:
    """Runs a chapter as it is, at the profile of its own parameters cell.

    At a published profile nothing is trained: the page shows the existing records. The
    outputs are stored in the chapter.
    """
    profile = find_parameters(source)["profile"]
    # A page at a published profile is made from records: a run without one is left out,
    # not trained for hours.
    given = {"max_minutes": 0} if profile in PUBLISHED else {}
    run_notebook(source, source, given, CELL_TIMEOUTS[profile])
    notebook = read_notebook(source)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if "injected-parameters" not in cell.metadata.get("tags", ())
    ]
    notebook.metadata["papermill"]["parameters"] = {}
    _write_notebook(source, notebook)
    # The status page says when each chapter was last run.
    write_pages()


# From the first line of a drawing to its last.
DRAWING = r"(?s)<\?xml.*</svg>\s*"


def check_notebooks(sources: Iterable[pathlib.Path]) -> int:
    """Runs notebooks at profile `smoke` and compares each output with the stored one.

    Each is copied with the smoke parameters and the stored outputs, and strict nbval
    runs the copy; cells tagged `nbval-ignore-output` run without being compared.
    Pictures differ between machines, so each stored one is compared with the hash that
    was noted when it was drawn. Returns the exit status, 0 if all is as stored.
    """
    prepare = {"prepare_only": True, "kernel_name": "python3", "progress_bar": False}
    altered = False
    with tempfile.TemporaryDirectory(prefix="tutorials-check-") as folder:
        copies = []
        for source in sources:
            for cell in read_notebook(source).cells:
                noted = cell.metadata.get("pictures")
                if noted and hash_pictures(cell) != noted:
                    altered = True
                    print(
                        f"{source.name}: a stored picture is not the one that this "
                        f"cell drew; `tutorials run --in-place` draws it again:\n"
                        f"{quote_start(cell.source)}"
                    )
            copy = pathlib.Path(folder) / source.name
            given = {"profile": "smoke"}
            papermill.execute_notebook(str(source), str(copy), given, **prepare)
            copies.append(copy)
        command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
        command += [f"--nbval-cell-timeout={CELL_TIMEOUTS['smoke']}"]
        # The project's own pytest settings are for its tests, not for these copies.
        command += ["-c", os.devnull, "--rootdir", folder, "-p", "no:cacheprovider"]
        sanitize = pathlib.Path(folder) / "sanitize.cfg"
        sanitize.write_text(f"[svg]\nregex: {DRAWING}\nreplace: a drawing\n")
        command += [f"--nbval-sanitize-with={sanitize}", "-q", *map(str, copies)]
        environment = os.environ | KERNEL_ENVIRONMENT
        environment["TUTORIALS_RUNS"] = f"{folder}/runs"
        status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        print("Is the new output right? `tutorials run CHAPTER --in-place` stores it.")
    return status or int(altered)
