"""The `tutorials` command: run chapters, check them, build and verify."""

import argparse
import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

# What takes long to import, or needs Jupyter, is imported where it is used.
from tutorials_lib.book.chapters import check_run, plan_runs, run_as_script
from tutorials_lib.runs.profiles import CHAPTERS, PROFILES
from tutorials_lib.runs.settings import OPTIONS, list_defaults, parse_literal

EPILOG = """exit status:
  0    success
  1    something failed: a cell, an assertion, the build, a missing tool
  2    the command was not understood: unknown chapter, profile, parameter or value
  130  stopped with Ctrl-C; runs at laptop and full resume where they stopped
"""


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the command line; the commands' docstrings are its help.

    Options that are not given are left out of what it returns.
    """
    layout: dict[str, Any] = {
        "epilog": EPILOG,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "argument_default": argparse.SUPPRESS,
    }
    parser = argparse.ArgumentParser(
        prog="tutorials",
        description="Runs, checks and builds the book's chapters.",
        **layout,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {}
    for name, command in COMMANDS.items():
        said = inspect.getdoc(command) or ""
        parsers[name] = commands.add_parser(
            name, help=said.splitlines()[0], description=said, **layout
        )
    for name in ("run", "check"):
        parsers[name].add_argument("chapters", nargs="*", metavar="CHAPTER")
    _add_run_options(parsers["run"])
    parsers["list"].add_argument("chapter", nargs="?", help="list its parameters")
    add = parsers["build"].add_argument
    add("--profile", help="show the chapters as last run at this profile")
    add("--output", help="folder for the pages; default _build/html")
    add = parsers["verify"].add_argument
    add("record", help="a file such as book/records/CHAPTER/....json")
    return parser


def _add_run_options(parser):
    add = parser.add_argument
    add("--all", action="store_true", help="every chapter")
    add("--profile", help="smoke (the default), quick, laptop or full")
    pair: dict[str, Any] = {"nargs": 2, "metavar": ("NAME", "VALUE")}
    said = "a chapter's parameter; VALUE is a literal: 3, batch, '[0.1, 1]'"
    add("--parameter", "-p", action="append", **pair, help=said)
    add("--minutes", type=float, dest="max_minutes", help="start no run after these")
    add("--into", metavar="DIR", type=os.path.abspath, help="folder for the records")
    add("--scheduler", metavar="ADDRESS", help="Dask cluster: tcp://host:8786")
    add("--list", action="store_true", dest="listing", help="list the runs, make none")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--output", help="path of the executed notebook (one chapter)")
    add("--only", metavar="NAME", help="make one run; NAME is one that --list shows")
    way: dict[str, Any] = {"dest": "way", "action": "store_const"}
    add("--script", **way, const="script", help="run without Jupyter, make no notebook")
    add("--in-place", **way, const="in place", help="store the outputs in the chapter")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    # Before anything imports TensorFlow, whose C++ log would drown the answer.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Kernels work in the book's folder, so a relative path would lead them elsewhere.
    for name in ("TUTORIALS_DATA", "TUTORIALS_RECORDS", "TUTORIALS_RUNS"):
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))
    options = vars(make_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        return COMMANDS[command](**options) or 0
    except KeyboardInterrupt:
        # What waited for a kernel would tell, at the very end, that it died.
        logging.getLogger("asyncio").disabled = True
        said = "stopped; runs at laptop and full resume where they stopped."
        print(said, file=sys.stderr)
        return 130
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"tutorials {command}: {error}", file=sys.stderr)
        if isinstance(error, ImportError):
            said = "In the project's folder, `pip install --editable '.[dev]'` helps."
            print(said, file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1


def _list(chapter=None):
    """List chapters, profiles and parameters."""
    if chapter is None:
        print("\n".join(CHAPTERS))
        print(f"\nprofiles: {', '.join(PROFILES)}")
        print("`tutorials list CHAPTER` lists its parameters.")
        return
    columns = {profile: list_defaults(chapter, profile) for profile in PROFILES}
    for name in [name for name in columns["smoke"] if name not in OPTIONS]:
        print(name)
        for profile, values in columns.items():
            print(f"    {profile:<6} {values[name]}")


def _run(chapters=(), all=False, parameter=(), output=None, way="", **settings):
    """Run chapters at a profile.

    Runs chapters through papermill.
    smoke   generated images, about a minute
    quick   real images, about ten minutes on two cores
    laptop  real images, at most an hour a run
    full    the article's protocol
    The last two resume where they were stopped. _runs/progress gets a line for each
    epoch.
    """
    chapters = CHAPTERS if all else chapters
    if not chapters:
        raise ValueError(f"name a chapter ({', '.join(CHAPTERS)}) or pass --all.")
    own = {name: parse_literal(text) for name, text in parameter}
    parameters = {"profile": "smoke", **settings, **own}
    if len(chapters) > 1 and (output or parameters.keys() & {"only", "into"}):
        raise ValueError("--output, --only and --into go with one chapter.")
    if way == "in place" and (settings or own):
        raise ValueError("--in-place runs the notebook as it is, with no parameters.")
    if {"only", "scheduler"} <= parameters.keys():
        raise ValueError("--only makes one run here; --scheduler makes them all.")
    for path in [check_run(chapter, parameters) for chapter in chapters]:
        if parameters.get("listing"):
            for name, recorded in plan_runs(path, parameters).items():
                print(f"{'done ' if recorded else 'to do'}  {name}")
            continue
        how = "as it is" if way == "in place" else f"profile {parameters['profile']}"
        print(f"{path.stem}, {how}", flush=True)
        if way == "script" or parameters.get("only"):
            run_as_script(path, parameters)
            continue
        from tutorials_lib.book.notebooks import refresh_chapter, run_chapter

        if way == "in place":
            refresh_chapter(path)
        else:
            path = run_chapter(path, parameters, output)
        print(f"wrote {path}")


def _check(chapters=()):
    """Run chapters at smoke and compare outputs with the stored ones."""
    from tutorials_lib.book.notebooks import check_notebooks

    smoke = {"profile": "smoke"}
    return check_notebooks(check_run(each, smoke) for each in chapters or CHAPTERS)


def _build(**options):
    """Build the pages."""
    from tutorials_lib.book.site import build_site

    print(f"open {build_site(**options)}")


def _verify(record):
    """Repeat the run of a record and compare.

    The chapter's own code repeats the run. On the same machine and versions the two
    must be equal to the last bit; elsewhere they must agree within three binomial
    errors.
    """
    from tutorials_lib.runs.verify import verify_record

    lines, agree = verify_record(record)
    print("\n".join(lines))
    return int(not agree)


def _scoreboard():
    """Write the pages that are made from records."""
    from tutorials_lib.book.scoreboard import write_pages

    _tell_changed(write_pages())


def _widgets():
    """Write the data of the widgets that show trained networks.

    It is made from records and a few test images, in TUTORIALS_DATA or downloaded.
    """
    from tutorials_lib.book.widgets import write_widgets

    _tell_changed(write_widgets())


def _doctor():
    """Say what this machine has and what is missing."""
    from tutorials_lib.runs.environment import examine

    lines, missing = examine()
    print("\n".join(lines))
    for item in missing:
        print(f"MISSING: {item}")
    return int(bool(missing))


def _address():
    """Copy the repository's address from _config.yml into the chapters."""
    from tutorials_lib.book.site import stamp_address

    _tell_changed(stamp_address())


def _tell_changed(names):
    print(f"changed: {', '.join(map(str, names)) or 'none'}")


COMMANDS: dict[str, Callable[..., int | None]] = {
    command.__name__.removeprefix("_"): command
    for command in (
        *(_list, _run, _check, _build, _verify),
        *(_scoreboard, _widgets, _doctor, _address),
    )
}

if __name__ == "__main__":
    sys.exit(main())
