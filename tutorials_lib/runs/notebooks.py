"""Runs notebooks through papermill, and checks them through nbval."""

import errno
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any
from unittest import mock

import nbformat
import papermill
import papermill.engines
from nbclient.exceptions import DeadKernelError

from tutorials_lib.runs.chapters import (
    ChapterError,
    book_folder,
    check_run,
    executed_path,
    explain_failure,
    quote_start,
)
from tutorials_lib.runs.scoreboard import write_pages
from tutorials_lib.runs.storage import WriteError, runs_folder, write_text

# Time limit of a cell in seconds; a full grid takes what it takes.
CELL_TIMEOUTS = {"smoke": 600, "quick": 1800, "laptop": None, "full": None}

# Figures go into the notebook, whatever the caller's environment says.
KERNEL_ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class _Client(papermill.engines.PapermillNotebookClient):
    """Runs the cells, and ends the kernel at once where Ctrl-C ends the run.

    A kernel that is asked to end amid a cell says so in a traceback of its own, and one
    that was starting would outlive the command.
    """

    def execute(self, **kwargs):
        self.shutdown_kernel = "immediate"
        try:
            return super().execute(**kwargs)
        except KeyboardInterrupt:
            # What waited for the kernel would tell, at the very end, that it died.
            logging.getLogger("asyncio").disabled = True
            raise
        finally:
            if self.km is not None:
                self._cleanup_kernel()

    def papermill_execute_cells(self):
        super().papermill_execute_cells()
        self.shutdown_kernel = "graceful"


def read_notebook(path: str | pathlib.Path) -> nbformat.NotebookNode:
    """Reads a notebook.

    Raises:
        ChapterError: the file is damaged or no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    # A file that is JSON but no notebook makes nbformat raise nearly anything.
    except Exception as error:
        raise ChapterError(
            f"{path} is no readable notebook ({type(error).__name__}: {error})."
        ) from error


def check_output(path: str | pathlib.Path) -> pathlib.Path:
    """Refuses a place for an executed notebook that would cost a file or the run.

    Returns:
        The path, absolute.

    Raises:
        ValueError: not the name of a notebook, a folder or a special file, or within
            the book, whose notebooks are sources.
    """
    path = pathlib.Path(path).resolve()
    if path.suffix != ".ipynb" or (path.exists() and not path.is_file()):
        raise ValueError(f"output must be a file that ends in .ipynb; got {path}.")
    if path.is_relative_to(book_folder().resolve()):
        raise ValueError(f"output must be outside the book, or use --in-place: {path}.")
    return path


def run_notebook(
    source: str | pathlib.Path,
    target: str | pathlib.Path,
    parameters: Mapping[str, Any],
    cell_timeout: int | None = None,
) -> None:
    """Executes a notebook and writes the result, whole or not at all.

    Args:
        source: Path of the notebook.
        target: Path of the executed notebook; an old one stays until the new one
            is complete.
        parameters: Values by name for the cell after the `parameters` cell.
        cell_timeout: Seconds a cell may take; None sets no limit.

    Raises:
        ChapterError: a cell failed or ran out of time, the kernel ended, or the target
            cannot be written; the message says where and why. What had run stands in
            the runs folder.
    """
    source, target = pathlib.Path(source), pathlib.Path(target)
    failed = runs_folder() / "failed" / source.name
    try:
        for folder in (target.parent, failed.parent):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        failed.unlink(missing_ok=True)
    except OSError as error:
        raise ChapterError(f"{folder} cannot be written to ({error}).") from error
    with (
        tempfile.TemporaryDirectory(prefix="tutorials-run-") as scratch,
        mock.patch.dict(os.environ, KERNEL_ENVIRONMENT),
        mock.patch.object(papermill.engines, "PapermillNotebookClient", _Client),
    ):
        executed = pathlib.Path(scratch) / source.name
        try:
            papermill.execute_notebook(
                str(source),
                str(executed),
                parameters=parameters,
                cwd=str(source.parent),
                kernel_name="python3",
                execution_timeout=cell_timeout,
                progress_bar=True,
                stdout_file=sys.stdout,
            )
            notebook = read_notebook(executed)
            _check_complete(notebook)
            write_text(target, nbformat.writes(clean_notebook(notebook)) + "\n")
        except Exception as error:
            raise ChapterError(
                f"{source.name} {_explain_failure(error, executed)}\n"
                f"{_keep_what_ran(executed, failed)}"
            ) from error


def _keep_what_ran(executed, failed):
    """Copies a notebook that failed, if whole; says where to, or why not."""
    try:
        write_text(failed, nbformat.writes(read_notebook(executed)) + "\n")
    except (ChapterError, WriteError) as error:
        return f"What had run is lost: {error}"
    return f"What had run: {failed}"


def _check_complete(notebook):
    """Raises ChapterError where a cell was not run, as after `sys.exit(0)`."""
    for cell in notebook.cells:
        code = cell.cell_type == "code" and cell.source.strip()
        if code and not cell.execution_count:
            raise ChapterError(f"the kernel ended at or before\n{cell.source[:300]}")


def clean_notebook(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drops what differs from run to run without meaning: stderr, times, ids of runs.

    Returns:
        The same notebook.
    """
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if cell.metadata.get("tags") == []:
            cell.metadata.pop("tags")
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if output.get("name") != "stderr"
            ]
    return notebook


def _explain_failure(error, executed):
    if isinstance(error, papermill.PapermillExecutionError):
        # Without what colours it on a terminal.
        trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback[-1:]))
        return explain_failure(
            error.exec_count, error.ename, error.evalue, error.source, trace
        )
    if isinstance(error, DeadKernelError):
        return (
            "failed: the kernel died (killed, out of memory, or a crash) in the cell "
            f"that begins\n{_find_last_started(executed)}"
        )
    if isinstance(error, WriteError):
        return f"ran to its end, but {error}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"failed: there is no room to write {executed} ({error.strerror}). Make "
            f"some, or set TMPDIR to a folder that has."
        )
    return f"failed: {type(error).__name__}: {error}"


def _find_last_started(executed):
    """Returns the first lines of the last cell that papermill began."""
    started = [
        cell.source
        for cell in read_notebook(executed).cells
        if cell.cell_type == "code" and cell.metadata.papermill.start_time
    ]
    return quote_start(started[-1]) if started else "(none was begun)"


def run_chapter(
    chapter: str,
    profile: str,
    parameters: Mapping[str, Any],
    output: str | pathlib.Path | None = None,
    cell_timeout: int | None = None,
) -> pathlib.Path:
    """Runs a chapter at a profile.

    Args:
        chapter: Name of a chapter.
        profile: Name of a profile.
        parameters: Values by name, laid over the profile's own.
        output: Path of the executed notebook; None puts it in the runs folder.
        cell_timeout: Seconds a cell may take; None takes the profile's limit.

    Returns:
        Path of the executed notebook.

    Raises:
        ValueError: unknown chapter, profile or parameter, or a value out of range.
        ChapterError: the chapter is not there, or a cell failed.
    """
    source = check_run(chapter, profile, parameters)
    target = (
        check_output(output) if output else executed_path(chapter, profile, parameters)
    )
    run_notebook(
        source,
        target,
        {"profile": profile, **parameters},
        cell_timeout or CELL_TIMEOUTS[profile],
    )
    return target


def refresh_chapter(chapter: str, cell_timeout: int | None = None) -> pathlib.Path:
    """Runs a chapter as it stands and puts the outputs into its notebook.

    Returns:
        The chapter's path.

    Raises:
        ValueError: unknown chapter.
        ChapterError: the chapter is not there, or a cell failed; then the notebook
            is left as it was.
    """
    source = check_run(chapter, "smoke", {})
    run_notebook(source, source, {}, cell_timeout or CELL_TIMEOUTS["quick"])
    # The status page says when each chapter was last run.
    write_pages()
    return source


def check_chapters(chapters: Iterable[str], cell_timeout: int | None = None) -> int:
    """Runs chapters at profile `smoke` and compares each output with the stored one.

    Each chapter is copied with the smoke parameters and the stored outputs, and
    strict nbval runs the copy. Cells tagged `nbval-ignore-output` run without being
    compared.

    Args:
        chapters: Names of chapters.
        cell_timeout: Seconds a cell may take; None takes the profile's limit.

    Returns:
        nbval's exit status: 0 where every output came out as stored.

    Raises:
        ValueError: unknown chapter.
        ChapterError: a chapter is not there.
    """
    sources = [check_run(chapter, "smoke", {}) for chapter in chapters]
    return check_notebooks(sources, cell_timeout)


# From the first line of a drawing to its last.
DRAWING = r"(?s)<\?xml.*</svg>\s*"


def check_notebooks(
    sources: Iterable[str | pathlib.Path], cell_timeout: int | None = None
) -> int:
    """Does for notebooks anywhere what `check_chapters` does for the book's."""
    with tempfile.TemporaryDirectory(prefix="tutorials-check-") as folder:
        copies = []
        for source in sources:
            copy = pathlib.Path(folder) / pathlib.Path(source).name
            papermill.execute_notebook(
                str(source),
                str(copy),
                parameters={"profile": "smoke"},
                prepare_only=True,
                kernel_name="python3",
                progress_bar=False,
            )
            copies.append(copy)
        command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
        command += [f"--nbval-cell-timeout={cell_timeout or CELL_TIMEOUTS['smoke']}"]
        # The project's own pytest settings are for its tests, not for these copies.
        command += ["-c", os.devnull, "--rootdir", folder, "-p", "no:cacheprovider"]
        # Pictures are not compared, drawn or painted; nbval knows of the latter.
        sanitize = pathlib.Path(folder) / "sanitize.cfg"
        sanitize.write_text(f"[svg]\nregex: {DRAWING}\nreplace: a drawing\n")
        command += [f"--nbval-sanitize-with={sanitize}", "-q", *map(str, copies)]
        environment = {
            **os.environ,
            **KERNEL_ENVIRONMENT,
            "TUTORIALS_RUNS": str(pathlib.Path(folder) / "runs"),
        }
        return subprocess.run(command, env=environment, check=False).returncode
