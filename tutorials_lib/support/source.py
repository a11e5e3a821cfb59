"""Source code on the page: what a chapter shows of the package is what it runs."""

import ast
import inspect
import textwrap
from collections.abc import Callable


class Source:
    """Python source that a notebook highlights, and `print` writes as it is."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __repr__(self) -> str:
        return self.code

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.code}\n```"


def show_source(*objects: Callable | type, docstring: bool = True) -> Source:
    """Shows the source of functions, methods or classes, one below the other.

    Args:
        *objects: As `inspect.getsource` takes them; indentation that all lines of one
            share is taken off.
        docstring: Whether docstrings are shown.

    Returns:
        A `Source`, which a notebook displays where it ends a cell.
    """
    codes = [textwrap.dedent(inspect.getsource(each)).rstrip() for each in objects]
    if not docstring:
        codes = [_strip_docstrings(code) for code in codes]
    return Source("\n\n\n".join(codes))


def _strip_docstrings(code):
    """Takes out the lines of all docstrings, and a blank line after each."""
    lines = code.splitlines()
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, kinds) or ast.get_docstring(node) is None:
            continue
        first, last = node.body[0].lineno - 1, node.body[0].end_lineno
        if last < len(lines) and not lines[last].strip():
            last += 1
        # Emptied, not deleted, as the other nodes' numbers count from the top.
        lines[first:last] = [None] * (last - first)
    return "\n".join(line for line in lines if line is not None)
