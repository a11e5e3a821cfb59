"""The drawing of the architecture, held to what the modules import."""

import ast
import re

from tutorials_lib.runs.chapters import book_folder

PACKAGE = book_folder().parent / "tutorials_lib"


def read_drawing():
    """The drawing's lines from bottom to top: half and names of modules."""
    text = (book_folder() / "architecture.md").read_text(encoding="utf-8")
    lines = re.search(r"```text\n(.*?)```", text, re.DOTALL).group(1).splitlines()
    drawn, half = [], None
    for line in lines:
        word, _, modules = line.partition("|")
        half = word.strip() or half
        if modules.strip() and half in ("runs", "teaching"):
            drawn.append((half, modules.split()))
    return drawn[::-1]


def list_imports(path):
    """Modules of the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_each_module_imports_from_below_alone():
    drawn = read_drawing()
    places, paths = {}, {}
    for level, (half, modules) in enumerate(drawn):
        prefix = "tutorials_lib.runs" if half == "runs" else "tutorials_lib"
        for module in modules:
            name = f"{prefix}.{module}"
            assert name not in places, f"{name} stands twice in the drawing"
            places[name] = level
            paths[name] = PACKAGE.parent / f"{name.replace('.', '/')}.py"
    there = {path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    assert set(paths.values()) == there
    upwards = [
        f"{name} imports {other}"
        for name, path in paths.items()
        for other in list_imports(path) & set(places)
        if places[other] >= places[name]
    ]
    assert not upwards
    halves = [half for half, _ in drawn]
    assert halves == sorted(halves, reverse=True)


def test_an_import_is_seen_where_it_stands(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "import tutorials_lib.vat\n\n\ndef f():\n    from tutorials_lib import mixup\n"
    )
    assert {"tutorials_lib.vat", "tutorials_lib.mixup"} <= list_imports(path)
