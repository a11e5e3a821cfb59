"""When chapters were last run, on what, and how long they took there.

Chapters print it in their last cell; the status page shows it.
"""

import json
import pathlib

from tutorials_lib.runs.chapters import ChapterError, book_folder, executed_path
from tutorials_lib.runs.profiles import CHAPTERS
from tutorials_lib.runs.storage import write_text

# What `show_environment` prints, a line each.
NAMES = ("run", "date", "time", "device", "commit", "versions")


def read_run(chapter: str, path: str | pathlib.Path) -> dict[str, str]:
    """Reads what `show_environment` printed in a chapter's last cell.

    Args:
        chapter: Name of a chapter.
        path: Path of its notebook, executed.

    Returns:
        Dict of `chapter` and of each of `NAMES` to text; "-" for what is not there.
    """
    notebook = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    said = "".join(
        "".join(output.get("text", "")) for output in cells[-1].get("outputs", [])
    )
    found = {"chapter": chapter} | dict.fromkeys(NAMES, "-")
    for line in said.splitlines():
        name, _, value = line.partition(" ")
        if name in NAMES:
            found[name] = value.strip()
    # What follows in brackets stands on the chapter's own page.
    found["run"] = found["run"].partition(" (")[0].removeprefix("profile ")
    commit, _, state = found["commit"].partition(",")
    return {**found, "commit": commit[:10] + (f",{state}" if state else "")}


def keep_smoke_runs() -> None:
    """Keeps what all chapters printed when they were last run at profile `smoke`.

    Raises:
        ChapterError: a chapter was not run at `smoke`, or with other parameters than
            the profile's.
    """
    found = []
    for chapter in CHAPTERS:
        path = executed_path(chapter, "smoke")
        run = read_run(chapter, path) if path.is_file() else {"run": "not there"}
        if run["run"] != "smoke":
            raise ChapterError(
                f"{path} must be a run of profile smoke as it is, from "
                f"`tutorials run --all`; it is {run['run']}."
            )
        found.append(run)
    write_text(_smoke_path(), json.dumps(found, indent=1) + "\n")


def read_smoke_runs() -> list[dict[str, str]]:
    """Reads what `keep_smoke_runs` kept: none, or one dict of `read_run` a chapter."""
    path = _smoke_path()
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def _smoke_path():
    return book_folder() / "smoke.json"
