"""The repository's address: where it stands, and its copies in the chapters."""

import re

import nbformat
import yaml

from tutorials_lib.runs.chapters import ChapterError, book_folder
from tutorials_lib.runs.notebooks import read_notebook
from tutorials_lib.runs.profiles import CHAPTERS
from tutorials_lib.runs.storage import write_text

INSTALL_ADDRESS = re.compile(r'"(git\+https://[^"]*)"')


def read_address() -> str:
    """Reads the repository's address from `_config.yml`, where alone it stands.

    Raises:
        ChapterError: there is none, or it is not an https address.
    """
    text = (book_folder().parent / "_config.yml").read_text(encoding="utf-8")
    address = yaml.safe_load(text).get("repository", {}).get("url")
    if not re.fullmatch(r"https://[^\s\"']+", str(address)):
        raise ChapterError(
            f"_config.yml must hold `repository: url:` with an https address; "
            f"got {address!r}."
        )
    return address


def stamp_address() -> list[str]:
    """Copies the repository's address into the first code cell of every chapter.

    Returns:
        Names of the chapters that changed.

    Raises:
        ChapterError: a chapter's first code cell holds no address to replace.
    """
    address = f'"git+{read_address()}"'
    changed = []
    for chapter in CHAPTERS:
        path = book_folder() / f"{chapter}.ipynb"
        notebook = read_notebook(path)
        cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
        stamped, found = INSTALL_ADDRESS.subn(address, cell.source)
        if found != 1:
            raise ChapterError(f"{path}: the first code cell must hold one address.")
        if stamped != cell.source:
            cell.source = stamped
            write_text(path, nbformat.writes(notebook) + "\n")
            changed.append(chapter)
    return changed
