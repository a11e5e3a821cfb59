"""The `tutorials` command: run chapters, check them, build and verify."""

import argparse
import ast
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

EPILOG = """exit status:
  0    success
  1    something failed: a cell, an assertion, the build, a missing tool
  2    the command was not understood: unknown chapter, profile, parameter or value
  130  stopped with Ctrl-C; runs at laptop and full resume where they stopped
"""


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the command line; the commands' docstrings are its help."""
    layout: dict[str, Any] = {
        "epilog": EPILOG,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }
    parser = argparse.ArgumentParser(
        prog="tutorials",
        description="Runs, checks and builds the book's chapters.",
        **layout,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = {}
    for name, command in COMMANDS.items():
        said = inspect.getdoc(command) or ""
        add[name] = commands.add_parser(
            name, help=said.splitlines()[0], description=said, **layout
        ).add_argument
    for name in ("run", "check"):
        add[name]("chapters", nargs="*", metavar="CHAPTER")
    _add_run_options(add["run"])
    add["list"]("chapter", nargs="?", help="list this chapter's parameters")
    add["build"]("--profile", help="show the chapters as last run at this profile")
    add["build"]("--output", help="folder for the pages; default _build/html")
    add["verify"]("record", help="a file such as book/records/CHAPTER/....json")
    return parser


def _add_run_options(add):
    # What is not given is None.
    switch = {"action": "store_true", "default": None}
    add("--all", **switch, help="every chapter")
    add("--profile", help="smoke (the default), quick, laptop or full")
    pair = {"nargs": 2, "action": "append", "metavar": ("NAME", "VALUE")}
    said = "a chapter's parameter; VALUE is a literal: 3, batch, '[0.1, 1]'"
    add("--parameter", "-p", **pair, help=said)
    add("--output", help="path of the executed notebook (one chapter)")
    said = "start no new run after so many minutes; finished runs are kept"
    add("--minutes", type=float, dest="max_minutes", help=said)
    said = "list the chapter's runs and which are recorded, without running any"
    add("--list", **switch, help=said)
    said = "make one run, as a program; NAME as in --list: 'alpha 0.1, seed 0'"
    add("--only", metavar="NAME", help=said)
    said = "folder for the chapter's records, instead of the usual one"
    add("--into", metavar="DIR", help=said)
    said = "hand the runs to a Dask cluster, such as tcp://host:8786"
    add("--scheduler", metavar="ADDRESS", help=said)
    said = "run the code cells in this process, without Jupyter: writes records and "
    add("--script", **switch, help=f"{said}prints tables, but makes no notebook")
    said = "run the notebook as it is and store its outputs in it"
    add("--in-place", **switch, help=said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    # Before anything imports TensorFlow, whose C++ log would drown the answer.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Kernels work in the book's folder, so a relative path would lead them elsewhere.
    for name in ("TUTORIALS_DATA", "TUTORIALS_RECORDS", "TUTORIALS_RUNS"):
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))
    said = "tutorials"
    try:
        # Ctrl-C may also come during the imports, here and in what is called.
        options = make_parser().parse_args(arguments)
        said = f"tutorials {options.command}"
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        said = "stopped; runs at laptop and full resume where they stopped."
        print(said, file=sys.stderr)
        return 130
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        said += f": {error}"
        if isinstance(error, ImportError):
            said += (
                ". To install all that it needs, run "
                "`pip install --editable '.[dev]'` in the project's folder."
            )
        print(said, file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1


def _parse(text):
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _list(options):
    """List chapters, profiles and parameters."""
    from tutorials_lib.runs.profiles import CHAPTERS, PROFILES
    from tutorials_lib.runs.settings import OPTIONS, list_defaults
    from tutorials_lib.support.checks import check_choice

    if options.chapter is None:
        for chapter in CHAPTERS:
            print(chapter)
        print(f"\nprofiles: {', '.join(PROFILES)}")
        print("`tutorials list CHAPTER` lists its parameters.")
        return 0
    check_choice("chapter", options.chapter, CHAPTERS)
    columns = [list_defaults(options.chapter, profile) for profile in PROFILES]
    for name in [name for name in columns[0] if name not in OPTIONS]:
        print(name)
        for profile, values in zip(PROFILES, columns, strict=True):
            print(f"    {profile:<6} {values[name]}")
    return 0


def _run(options):
    """Run chapters at a profile.

    Runs chapters through papermill.
    smoke   generated images, about a minute
    quick   real images, about ten minutes on two cores
    laptop  real images, at most an hour a run
    full    the article's protocol
    The last two resume where they were stopped. _runs/progress gets a line for each
    epoch.
    """
    from tutorials_lib.runs.chapters import check_run, plan_runs, run_as_script
    from tutorials_lib.runs.profiles import CHAPTERS

    chapters = CHAPTERS if options.all else tuple(options.chapters)
    if not chapters:
        raise ValueError(f"name a chapter ({', '.join(CHAPTERS)}) or pass --all.")
    parameters = _read_run_options(options, len(chapters))
    for path in [check_run(chapter, parameters) for chapter in chapters]:
        if options.list:
            asked = {**parameters, "listing": True}
            for name, recorded in plan_runs(path, asked).items():
                print(f"{'done ' if recorded else 'to do'}  {name}")
            continue
        how = "as it is" if options.in_place else f"profile {parameters['profile']}"
        print(f"{path.stem}, {how}", flush=True)
        if options.script or options.only is not None:
            run_as_script(path, parameters)
            continue
        # Needs Jupyter, which a script does not.
        from tutorials_lib.runs.notebooks import refresh_chapter, run_chapter

        if options.in_place:
            refresh_chapter(path)
        else:
            path = run_chapter(path, parameters, options.output)
        print(f"wrote {path}")
    return 0


def _read_run_options(options, chapters):
    """Refuses options that exclude each other; returns the chapters' parameters."""
    given = {name for name, value in vars(options).items() if value is not None}
    alone = given & {"script", "only", "list"}
    if chapters > 1 and given & {"output", "only", "into"}:
        raise ValueError("--output, --only and --into go with one chapter.")
    if options.in_place and given - {"command", "chapters", "all", "in_place"}:
        raise ValueError("--in-place runs the notebook as it is, with no parameters.")
    if alone and "output" in given:
        raise ValueError("--script, --only and --list write no notebook.")
    if {"only", "scheduler"} <= given:
        raise ValueError("--only makes one run here; --scheduler makes them all.")
    if options.output is not None:
        from tutorials_lib.runs.notebooks import check_output

        options.output = check_output(options.output)
    if options.scheduler is not None:
        import distributed  # noqa: F401
    if options.into is not None:
        # A notebook runs in another folder than the command.
        options.into = os.path.abspath(options.into)
    parameters = {name: _parse(text) for name, text in options.parameter or ()}
    for name in parameters.keys() & {"profile", "only", "scheduler", "into"}:
        raise ValueError(f"-p takes settings; give {name} as --{name}.")
    profile = "smoke" if options.profile is None else options.profile
    names = ("max_minutes", "only", "scheduler", "into")
    chosen = {name: getattr(options, name) for name in names if name in given}
    return {"profile": profile, **parameters, **chosen}


def _check(options):
    """Run chapters at smoke and compare outputs with the stored ones."""
    from tutorials_lib.runs.chapters import check_run
    from tutorials_lib.runs.notebooks import check_notebooks
    from tutorials_lib.runs.profiles import CHAPTERS

    chapters, given = options.chapters or CHAPTERS, {"profile": "smoke"}
    return check_notebooks(check_run(chapter, given) for chapter in chapters)


def _build(options):
    """Build the pages."""
    from tutorials_lib.runs.site import build_site

    print(f"open {build_site(options.profile, options.output)}")
    return 0


def _verify(options):
    """Repeat the run of a record and compare.

    The chapter's own code repeats the run. On the same machine and versions the two
    must be equal to the last bit; elsewhere they must agree within three binomial
    errors.
    """
    from tutorials_lib.runs.verify import verify_record

    lines, agree = verify_record(options.record)
    print("\n".join(lines))
    return 0 if agree else 1


def _scoreboard(options):
    """Write the pages that are made from records."""
    from tutorials_lib.runs.scoreboard import write_pages

    return _tell_changed(write_pages())


def _widgets(options):
    """Write the data of the widgets that show trained networks.

    It is made from records and a few test images, in TUTORIALS_DATA or downloaded.
    """
    from tutorials_lib.runs.widgets import write_widgets

    return _tell_changed(write_widgets())


def _doctor(options):
    """Say what this machine has and what is missing."""
    from tutorials_lib.runs.environment import examine

    lines, missing = examine()
    print("\n".join(lines))
    for item in missing:
        print(f"MISSING: {item}")
    return 1 if missing else 0


def _address(options):
    """Copy the repository's address from _config.yml into the chapters."""
    from tutorials_lib.runs.site import stamp_address

    return _tell_changed(stamp_address())


def _tell_changed(names):
    print(f"changed: {', '.join(map(str, names)) or 'none'}")
    return 0


COMMANDS = {
    "list": _list,
    "run": _run,
    "check": _check,
    "build": _build,
    "verify": _verify,
    "scoreboard": _scoreboard,
    "widgets": _widgets,
    "doctor": _doctor,
    "address": _address,
}

if __name__ == "__main__":
    sys.exit(main())
