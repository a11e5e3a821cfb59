"""Source code on the page: a chapter shows the very code that it runs."""

import ast
import inspect
import textwrap
from collections.abc import Callable


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
