"""Builds the pages with Jupyter Book."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tutorials_lib.runs.chapters import ChapterError, book_folder, executed_path
from tutorials_lib.runs.profiles import CHAPTERS, PROFILES
from tutorials_lib.support.checks import check_choice


def build_site(
    profile: str | None = None, output: str | pathlib.Path | None = None
) -> pathlib.Path:
    """Builds the pages; warnings are errors.

    Args:
        profile: Shows each chapter as last executed at this profile; None shows the
            chapters as they are stored.
        output: Folder for the pages; None is `_build/html` in the checkout.

    Returns:
        Path of the first page.

    Raises:
        ValueError: unknown profile, or a folder that holds other things.
        ChapterError: a chapter was not executed at that profile, the build failed, or
            the pages cannot be written.
    """
    book = book_folder()
    root = book.parent
    target = pathlib.Path(output or root / "_build" / "html").resolve()
    _check_target(target)
    with _explain_writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    with tempfile.TemporaryDirectory(prefix="tutorials-build-") as folder:
        stage = pathlib.Path(folder)
        with _explain_writing(stage):
            shutil.copytree(
                book,
                stage / "book",
                ignore=shutil.ignore_patterns(".ipynb_checkpoints"),
            )
            shutil.copy(root / "_config.yml", stage)
        if profile is not None:
            check_choice("profile", profile, PROFILES)
            for chapter in CHAPTERS:
                executed = executed_path(chapter, profile)
                if not executed.is_file():
                    raise ChapterError(
                        f"{chapter} has not been run at profile {profile}: "
                        f"`tutorials run {chapter} --profile {profile}` does that."
                    )
                shutil.copy(executed, stage / "book")
        # The command of this very environment, whether or not it is activated.
        program = pathlib.Path(sys.executable).with_name("jupyter-book")
        command = [str(program), "build", str(stage / "book")]
        command += ["--config", str(stage / "_config.yml"), "--path-output", folder]
        command += ["-W", "-n", "--keep-going", "--quiet"]
        if not program.is_file():
            raise ChapterError(
                "jupyter-book is missing: `pip install --editable '.[book]'` in the "
                "project's folder brings it."
            )
        done = subprocess.run(command, cwd=stage, check=False)
        pages = stage / "_build" / "html"
        if done.returncode or not (pages / "index.html").is_file():
            raise ChapterError(
                f"the pages could not be built (exit status {done.returncode}); "
                f"what stood in {target} is left as it was."
            )
        with _explain_writing(target):
            _replace_folder(pages, target)
    return target / "index.html"


def _check_target(target):
    """Refuses a folder that holds anything but pages built before."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"output must be a folder; got {target}.")
    # Sphinx leaves this file in what it builds.
    ours = (target / ".buildinfo").is_file()
    if target.is_dir() and any(target.iterdir()) and not ours:
        raise ValueError(
            f"output must be a new or empty folder, or one with pages built before, "
            f"for it is replaced whole; got {target}."
        )


def _replace_folder(source, target):
    """Puts a folder in the place of another, which goes only once the new is there."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as folder:
        new, old = pathlib.Path(folder) / "new", pathlib.Path(folder) / "old"
        shutil.copytree(source, new)
        try:
            if target.exists():
                os.replace(target, old)
            os.replace(new, target)
        finally:
            # Stopped between the two: the old pages must not go with this folder.
            if old.exists() and not target.exists():
                os.replace(old, target)


@contextlib.contextmanager
def _explain_writing(folder):
    try:
        yield
    except OSError as error:
        # Copying a folder gathers what went wrong with each file.
        why = error.args[0][0][-1] if isinstance(error, shutil.Error) else error
        raise ChapterError(
            f"the pages cannot be written to {folder} ({why}); pages that stood "
            f"there before are left as they were."
        ) from error
