"""The `tutorials` command: run chapters, check them, build and verify."""

import argparse
import ast
import os
import sys
from collections.abc import Sequence

EPILOG = """exit status:
  0    all went well
  1    something failed: a cell, an assertion, the build, a missing tool
  2    the command was not understood: unknown chapter, profile, parameter or value
  130  stopped with Ctrl-C; full runs go on where they were
"""


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the command line."""
    from tutorials_lib.runs.profiles import PROFILES

    parser = argparse.ArgumentParser(
        prog="tutorials",
        description="Runs, checks and builds the book's chapters.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser(
        "list", help="list chapters, profiles and parameters", epilog=EPILOG
    )
    listing.add_argument("chapter", nargs="?", help="say what its parameters are")

    run = commands.add_parser(
        "run",
        help="run chapters at a profile",
        description=(
            "Runs chapters through papermill. smoke: generated images, about a minute. "
            "quick: real data, about ten minutes on two cores. laptop: real data, at "
            "most an hour a run. full: the article's protocol. These two go on where "
            "they were when they are stopped. _runs/progress has a line for each epoch."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("chapters", nargs="*", metavar="CHAPTER")
    run.add_argument("--all", action="store_true", help="every chapter")
    run.add_argument("--profile", default=None, help=f"one of {', '.join(PROFILES)}")
    run.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a chapter's parameter; VALUE is a literal: 3, batch, '[0.1, 1]'",
    )
    run.add_argument("--output", help="path of the executed notebook (one chapter)")
    run.add_argument(
        "--records",
        metavar="DIR",
        help="folder for records of full runs in place of book/records; "
        "in an empty one everything is run anew",
    )
    run.add_argument(
        "--cell-timeout", type=int, metavar="SECONDS", help="limit for each cell"
    )
    run.add_argument(
        "--minutes",
        type=float,
        help="start no new run of a grid after that time; what is done stays done",
    )
    run.add_argument(
        "--list",
        action="store_true",
        help="name the chapter's runs and say which are recorded; run none",
    )
    run.add_argument(
        "--only",
        metavar="NAME",
        help="make one run, as a program: 'alpha 0.1, seed 0', as --list names it",
    )
    run.add_argument(
        "--into",
        metavar="DIR",
        help="folder for the chapter's records, in place of the usual ones",
    )
    run.add_argument(
        "--retrain",
        action="store_const",
        const=True,
        help="train anew what published records hold; they stay as they are",
    )
    run.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="hand the runs to a Dask cluster, such as tcp://host:8786",
    )
    run.add_argument(
        "--script",
        action="store_const",
        const=True,
        help="run the code cells in this process, where there is no Jupyter: records "
        "and printed tables, no notebook",
    )
    run.add_argument(
        "--in-place",
        action="store_true",
        help="run the notebook as it stands and store its outputs in it",
    )

    check = commands.add_parser(
        "check",
        help="run chapters at smoke and compare outputs with the stored ones",
        epilog=EPILOG,
    )
    check.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all")
    check.add_argument(
        "--cell-timeout", type=int, metavar="SECONDS", help="limit for each cell"
    )

    build = commands.add_parser("build", help="build the pages", epilog=EPILOG)
    build.add_argument(
        "--profile", help="show the chapters as last run at this profile"
    )
    build.add_argument("--output", help="folder for the pages; default _build/html")

    verify = commands.add_parser(
        "verify",
        help="run a record's configuration again and compare",
        description=(
            "Runs what a record describes again, from the chapter's own code, and "
            "compares: to the last bit on the same machine and versions, within three "
            "binomial errors elsewhere."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument("record", help="a file such as book/records/CHAPTER/....json")

    scoreboard = commands.add_parser(
        "scoreboard",
        help="write the pages that are made of records",
        epilog=EPILOG,
    )
    scoreboard.add_argument(
        "--smoke",
        action="store_true",
        help="have the status page say how the chapters last ran at profile smoke",
    )
    commands.add_parser(
        "migrate",
        help="rewrite published records of an older schema",
        epilog=EPILOG,
    )
    commands.add_parser(
        "doctor",
        help="say what this machine has and what is missing",
        epilog=EPILOG,
    )
    commands.add_parser(
        "address",
        help="copy the repository's address from _config.yml into the chapters",
        epilog=EPILOG,
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        The exit status.
    """
    # Before anything imports TensorFlow, whose C++ log would drown the answer.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Kernels work in the book's folder, so a relative path would lead them elsewhere.
    for name in ("TUTORIALS_DATA", "TUTORIALS_RECORDS", "TUTORIALS_RUNS"):
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))
    said = "tutorials"
    try:
        # Imports, here and in what is called, are a phase too that Ctrl-C may stop.
        options = make_parser().parse_args(arguments)
        said = f"tutorials {options.command}"
        return COMMANDS[options.command](options)
    except ValueError as error:
        print(f"{said}: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(
            f"{said}: {error}. In the project's folder "
            f"`pip install --editable '.[dev]'` brings all it needs.",
            file=sys.stderr,
        )
        return 1
    except (OSError, RuntimeError) as error:
        print(f"{said}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; full runs go on where they were.", file=sys.stderr)
        return 130


def _parse(text):
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _list(options):
    from tutorials_lib.runs.profiles import CHAPTERS, PROFILES
    from tutorials_lib.runs.settings import list_defaults
    from tutorials_lib.support.checks import check_choice

    if options.chapter is None:
        for chapter in CHAPTERS:
            print(chapter)
        print(f"\nprofiles: {', '.join(PROFILES)}")
        print("`tutorials list CHAPTER` says what its parameters are.")
        return 0
    check_choice("chapter", options.chapter, CHAPTERS)
    columns = [list_defaults(options.chapter, profile) for profile in PROFILES]
    for name in columns[0]:
        print(name)
        for profile, values in zip(PROFILES, columns, strict=True):
            print(f"    {profile:<6} {values[name]}")
    return 0


def _run(options):
    from tutorials_lib.runs.chapters import check_run, list_runs

    parameters = {name: _parse(text) for name, text in options.parameter}
    given = {"max_minutes": options.minutes, "only": options.only}
    given |= {name: getattr(options, name) for name in ("retrain", "scheduler", "into")}
    parameters |= {name: value for name, value in given.items() if value is not None}
    chapters = _check_run_options(options, parameters)
    profile = "smoke" if options.profile is None else options.profile
    for chapter in chapters:
        check_run(chapter, profile, parameters)
    if options.list:
        for chapter in chapters:
            for name, done in list_runs(chapter, profile, parameters).items():
                print(f"{'done ' if done else 'to do'}  {name}")
        return 0
    for chapter in chapters:
        how = "as it stands" if options.in_place else f"profile {profile}"
        print(f"{chapter}, {how}", flush=True)
        _run_one(chapter, profile, parameters, options)
    return 0


def _check_run_options(options, parameters):
    """Refuses what does not go together; returns the chapters that are asked for."""
    from tutorials_lib.runs.profiles import CHAPTERS
    from tutorials_lib.support.checks import check_whole

    chapters = CHAPTERS if options.all else tuple(options.chapters)
    if not chapters:
        raise ValueError(f"name a chapter ({', '.join(CHAPTERS)}) or pass --all.")
    if len(chapters) > 1 and (options.output or options.only or options.into):
        raise ValueError("--output, --only and --into go with one chapter.")
    others = [options.profile, options.output, options.records, options.script]
    if options.in_place and (parameters or any(x is not None for x in others)):
        raise ValueError("--in-place takes the notebook as it stands, no parameters.")
    if _makes_no_notebook(options):
        if options.output or options.cell_timeout is not None:
            raise ValueError(
                "--script, --only and --list write no notebook and set no limit for a "
                "cell."
            )
    else:
        # Needs Jupyter, which a script does without.
        from tutorials_lib.runs.notebooks import check_output

        if options.output is not None:
            check_output(options.output)
    if options.cell_timeout is not None:
        check_whole("cell-timeout", options.cell_timeout, 1)
    if options.scheduler is not None:
        import distributed  # noqa: F401
    if options.into is not None:
        # A notebook runs elsewhere than where the command was given.
        parameters["into"] = os.path.abspath(options.into)
    if options.records is not None:
        if not options.records:
            raise ValueError("records must name a folder; got ''.")
        os.makedirs(options.records, exist_ok=True)
        os.environ["TUTORIALS_RECORDS"] = os.path.abspath(options.records)
    return chapters


def _makes_no_notebook(options):
    return options.script or options.list or options.only is not None


def _run_one(chapter, profile, parameters, options):
    if _makes_no_notebook(options):
        from tutorials_lib.runs.chapters import run_as_script

        run_as_script(chapter, profile, parameters)
        return
    from tutorials_lib.runs.notebooks import refresh_chapter, run_chapter

    if options.in_place:
        done = refresh_chapter(chapter, options.cell_timeout)
    else:
        done = run_chapter(
            chapter, profile, parameters, options.output, options.cell_timeout
        )
    print(f"wrote {done}")


def _check(options):
    from tutorials_lib.runs.notebooks import check_chapters
    from tutorials_lib.runs.profiles import CHAPTERS

    return check_chapters(options.chapters or CHAPTERS, options.cell_timeout)


def _build(options):
    from tutorials_lib.runs.site import build_site

    print(f"open {build_site(options.profile, options.output)}")
    return 0


def _verify(options):
    from tutorials_lib.runs.verify import verify_record

    lines, agree = verify_record(options.record)
    print("\n".join(lines))
    return 0 if agree else 1


def _scoreboard(options):
    from tutorials_lib.runs.scoreboard import keep_smoke_runs, write_pages

    if options.smoke:
        keep_smoke_runs()
    changed = write_pages()
    print(f"changed: {', '.join(map(str, changed)) or 'none'}")
    return 0


def _migrate(options):
    from tutorials_lib.runs.records import migrate_records
    from tutorials_lib.runs.storage import published_folder

    for path in migrate_records(published_folder()):
        print(path)
    return 0


def _doctor(options):
    from tutorials_lib.runs.environment import examine

    lines, missing = examine()
    print("\n".join(lines))
    for item in missing:
        print(f"MISSING: {item}")
    return 1 if missing else 0


def _address(options):
    from tutorials_lib.runs.site import stamp_address

    changed = stamp_address()
    print(f"changed: {', '.join(changed) or 'none'}")
    return 0


COMMANDS = {
    "list": _list,
    "run": _run,
    "check": _check,
    "build": _build,
    "verify": _verify,
    "scoreboard": _scoreboard,
    "migrate": _migrate,
    "doctor": _doctor,
    "address": _address,
}

if __name__ == "__main__":
    sys.exit(main())
