"""Builds the pages with Jupyter Book, and keeps their repository's address."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from tutorials_lib import __version__
from tutorials_lib.book.chapters import ChapterError, book_folder, executed_path
from tutorials_lib.book.widgets import NETWORK, write_network
from tutorials_lib.runs.profiles import CHAPTERS
from tutorials_lib.runs.storage import check_writable, write_changed


def build_site(
    profile: str | None = None, output: str | pathlib.Path | None = None
) -> pathlib.Path:
    """Builds the pages, warnings being errors; returns the path of the first one.

    It shows each chapter as last executed at a profile; None shows them as they are
    stored. `output` is a folder for the pages; None is `_build/html` in the checkout.

    Raises:
        ValueError: unknown profile, or a folder that holds other things.
        ChapterError: a chapter was not executed at that profile, the build failed, or
            the pages cannot be written.
    """
    book = book_folder()
    root = book.parent
    target = pathlib.Path(output or root / "_build" / "html").resolve()
    # Sphinx leaves this file in what it builds.
    ours = (target / ".buildinfo").is_file() or not target.exists()
    if not ours and (target.is_file() or any(target.iterdir())):
        raise ValueError(
            f"output must be a new or empty folder, or one with pages built before, "
            f"because it is replaced as a whole; got {target}."
        )
    executed = []
    for chapter in CHAPTERS if profile is not None else ():
        path = executed_path(chapter, {"profile": profile})
        if not path.is_file():
            raise ChapterError(
                f"{chapter} has not been run at profile {profile}: first run "
                f"`tutorials run {chapter} --profile {profile}`."
            )
        executed.append(path)
    check_writable(target.parent)
    # The command of this very environment, whether or not it is activated.
    program = pathlib.Path(sys.executable).with_name("jupyter-book")
    if not program.is_file():
        raise ChapterError(
            "jupyter-book is missing: run `pip install --editable '.[book]'` in the "
            "project's folder to install it."
        )
    command = [str(program), "build", "book", "--config", "_config.yml"]
    command += ["--path-output", ".", "-W", "-n", "--keep-going", "--quiet"]
    try:
        with tempfile.TemporaryDirectory(prefix="tutorials-build-") as folder:
            stage = pathlib.Path(folder)
            ignored = shutil.ignore_patterns(".ipynb_checkpoints")
            shutil.copytree(book, stage / "book", ignore=ignored)
            shutil.copy(root / "_config.yml", stage)
            weights = stage / "book" / "_static" / "data" / f"{NETWORK}.js"
            write_changed({weights: write_network()})
            for notebook in executed:
                shutil.copy(notebook, stage / "book")
            done = subprocess.run(command, cwd=stage, check=False)
            pages = stage / "_build" / "html"
            if done.returncode or not (pages / "index.html").is_file():
                raise ChapterError(
                    f"the pages could not be built (exit status {done.returncode}); "
                    f"{target} is left as it was."
                )
            _replace_folder(pages, target)
    except OSError as error:
        # Copying a folder gathers what went wrong with each file.
        why = error.args[0][0][-1] if isinstance(error, shutil.Error) else error
        raise ChapterError(
            f"the pages cannot be written to {target} ({why}); earlier pages there "
            f"are left as they were."
        ) from error
    return target / "index.html"


def _replace_folder(source, target):
    """Replaces a folder with another; the old one is kept until the new is there."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as folder:
        new = shutil.copytree(source, pathlib.Path(folder) / "new")
        if target.exists():
            os.replace(target, pathlib.Path(folder) / "old")
        os.replace(new, target)


def read_address() -> str:
    """Reads the repository's address from `_config.yml`, its only source."""
    import yaml

    text = (book_folder().parent / "_config.yml").read_text(encoding="utf-8")
    address = yaml.safe_load(text).get("repository", {}).get("url")
    if not re.fullmatch(r"https://[^\s\"']+", str(address)):
        raise ChapterError(
            f"_config.yml must hold `repository: url:` with an https address; "
            f"got {address!r}."
        )
    return address


def stamp_address() -> list[pathlib.Path]:
    """Copies the repository's address into README.md and every chapter's first cell.

    The first cell also names the version whose tag it tries to install first. Returns
    the paths of the files that changed.
    """
    address, book = read_address(), book_folder()
    owner, name = address.split("/")[-2:]
    stamps = {
        r'git\+https://[^"\\]*(?=\\")': f"git+{address}",
        r'(?<=release = \\"v)[^"\\]*': __version__,
        r"(?<=colab\.research\.google\.com/github/)[^/\s]+/[^/\s]+": f"{owner}/{name}",
        r"https://[\w-]+\.github\.io/[\w.-]+": f"https://{owner}.github.io/{name}",
    }
    texts = {}
    for path in (book.parent / "README.md", *(book / f"{x}.ipynb" for x in CHAPTERS)):
        text = path.read_text(encoding="utf-8")
        for found, stamp in stamps.items():
            text = re.sub(found, stamp, text)
        texts[path] = text
    return write_changed(texts)
