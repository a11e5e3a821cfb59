"""What a chapter shows: text, sentences, tables, and the source of what it runs."""

import ast
import inspect
import string
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence

NO_RUNS = "These runs have not been made yet; see Running the full book."


class Source(str):
    """Python source that a notebook highlights and `print` shows as plain text."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return f"```python\n{self}\n```"


def show_source(*objects: Callable | type) -> Source:
    """Shows the source of functions, methods or classes, one below the other.

    Docstrings are removed, and so is the indentation of each. A notebook displays the
    `Source` at the end of a cell.
    """
    codes = [textwrap.dedent(inspect.getsource(each)).rstrip() for each in objects]
    return Source("\n\n\n".join(map(_strip_docstrings, codes)))


def _strip_docstrings(code):
    """Removes all docstrings, and a blank line after each."""
    lines = code.splitlines()
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    dropped: set[int] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            first = node.body[0]
            last = first.end_lineno or first.lineno
            blank = last < len(lines) and not lines[last].strip()
            dropped.update(range(first.lineno - 1, last + blank))
    return "\n".join(x for number, x in enumerate(lines) if number not in dropped)


def show_text(text: str) -> None:
    """Shows Markdown in a notebook; elsewhere, as in a script, prints it."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(text, flush=True)
    else:
        ipython.display.display(ipython.display.Markdown(text))


def fill(template: str, **values: object) -> str:
    """Puts numbers into a sentence; returns nothing if one of them is missing.

    A format picks a part of an `Estimate`: `"Augmentation gains {gain:mean} points."`
    A value may be `Scores`, looked up as in a dict: `"{accuracy[alpha 1 minus none]}"`.
    A value of None means that the runs have not been made.
    """
    formatter = string.Formatter()
    names = [name for _, name, *_ in formatter.parse(template) if name]
    known = all(formatter.get_field(x, (), values)[0] is not None for x in names)
    return template.format(**values) if known else ""


def say(*templates: str, **values: object) -> None:
    """Shows those sentences whose numbers are all known, see `fill`."""
    if said := [text for each in templates if (text := fill(each, **values))]:
        show_text("\n".join(said))


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Shows a table; the first column is text, the others are aligned to the right."""
    rows = list(rows)
    if not rows:
        show_text(NO_RUNS)
        return
    lines = [headers, [":--"] + ["--:"] * (len(headers) - 1), *rows]
    show_text("\n".join(f"| {' | '.join(map(str, row))} |" for row in lines))
