"""Breaks the package in many small ways, one at a time, and sees whether a test fails.

    python tests/mutants.py [--number 100] [--seed 0] [--only MODULE]

draws places in the code of the methods and changes each: a sign, a comparison, a
number, a truth value, a default. The module's own tests then run on a copy of the
project. A mutant that they let pass is printed with its line: it is either a gap in the
tests or a change that changes nothing. Checks of arguments are left out, as
tests/test_bad_input.py goes through those.
"""

import argparse
import ast
import itertools
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
# Each module of a method, and the tests that know what is right.
TESTS = {
    "augmentation": ("augmentation",),
    "averaging": ("averaging",),
    "batches": ("batches", "labels"),
    "corruptions": ("corruptions",),
    "intervals": ("intervals",),
    "labels": ("labels",),
    "mixup": ("mixup",),
    "pillow_values": ("rand_augment",),
    "pillow_warps": ("rand_augment",),
    "pseudo_labels": ("pseudo_labels",),
    "rand_augment": ("rand_augment",),
    "scores": ("scores",),
    "stochastic_depth": ("stochastic_depth",),
    "unlabelled": ("unlabelled",),
    "vat": ("vat",),
    "warps": ("augmentation",),
}
SWAPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
# Tests that take longer than this hang: a person says whether the mutant did it.
SECONDS = 1200


def find_nodes(tree):
    """The nodes that may be changed: no annotations, no checks, no errors."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef) and "check" in node.name:
            continue
        if isinstance(node, ast.If) and any(
            isinstance(x, ast.Raise) for x in node.body
        ):
            waiting += node.orelse
            continue
        if is_check(node) or isinstance(node, (ast.Raise, ast.Import, ast.ImportFrom)):
            continue
        found.append(node)
        for name, value in ast.iter_fields(node):
            children = value if isinstance(value, list) else [value]
            if name not in ("annotation", "returns"):
                waiting += [each for each in children if isinstance(each, ast.AST)]
    return found


def is_check(node):
    """Whether a call is one of those that look at an argument."""
    name = getattr(getattr(node, "func", None), "id", "")
    return name.startswith(("check_", "_check_"))


def change(node):
    """Changes a node in place; returns whether there was something to change."""
    operators = (ast.BinOp, ast.BoolOp, ast.AugAssign)
    if isinstance(node, operators) and type(node.op) in SWAPS:
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        node.ops[0] = SWAPS[type(node.ops[0])]()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        node.value += 1
    else:
        return False
    return True


def count_places(path):
    """How many nodes of a file could be changed, whether or not `change` knows how."""
    return len(find_nodes(ast.parse(path.read_text(encoding="utf-8"))))


def write_mutant(path, number):
    """The changed line and source with one node changed; None if it cannot be."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    node = find_nodes(tree)[number]
    before = ast.unparse(node)
    if not change(node):
        return None
    after = ast.unparse(ast.fix_missing_locations(node))
    return f"{node.lineno}: {before} -> {after}", ast.unparse(tree)


def try_mutant(copied, module, source):
    """What the module's tests say of another source: caught, hung or SURVIVED."""
    path = copied / "tutorials_lib" / f"{module}.py"
    original = path.read_text(encoding="utf-8")
    tests = [f"tests/test_{name}.py" for name in TESTS[module]]
    path.write_text(source, encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests],
            cwd=copied,
            env={**os.environ, "PYTHONPATH": str(copied)},
            timeout=SECONDS,
            capture_output=True,
        )
    except subprocess.TimeoutExpired:
        return "hung"
    finally:
        path.write_text(original, encoding="utf-8")
    return "caught" if done.returncode else "SURVIVED"


def draw_mutants(modules, number, seed):
    """Yields module, line and source of mutants at places drawn without repetition."""
    package = ROOT / "tutorials_lib"
    places = [
        (module, place)
        for module in modules
        for place in range(count_places(package / f"{module}.py"))
    ]
    random.Random(seed).shuffle(places)
    mutants = (
        (module, write_mutant(package / f"{module}.py", k)) for module, k in places
    )
    changed = ((module, *mutant) for module, mutant in mutants if mutant)
    yield from itertools.islice(changed, number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", choices=TESTS, help="one module")
    options = parser.parse_args()
    modules = [options.only] if options.only else list(TESTS)
    drawn = list(draw_mutants(modules, options.number, options.seed))
    words = []
    with tempfile.TemporaryDirectory() as folder:
        copied = pathlib.Path(folder) / "copy"
        shutil.copytree(
            ROOT, copied, ignore=shutil.ignore_patterns(".*", "_build", "_runs")
        )
        for module in sorted({module for module, *_ in drawn}):
            source = (copied / "tutorials_lib" / f"{module}.py").read_text("utf-8")
            if try_mutant(copied, module, source) != "SURVIVED":
                raise SystemExit(f"the tests of {module} fail as it is")
        for number, (module, line, source) in enumerate(drawn, 1):
            words.append(try_mutant(copied, module, source))
            print(f"[{number}/{len(drawn)}] {words[-1]} {module}.py:{line}", flush=True)
    print(", ".join(f"{words.count(word)} {word}" for word in sorted(set(words))))


if __name__ == "__main__":
    main()
