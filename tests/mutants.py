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
import copy
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
# A test that takes longer than this hangs, which is as good as failing.
SECONDS = 600


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


def list_mutants(path):
    """For each place that can be changed: its line and the changed source."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for number in range(len(find_nodes(tree))):
        mutant = copy.deepcopy(tree)
        node = find_nodes(mutant)[number]
        before = ast.unparse(node)
        if change(node):
            after = ast.unparse(ast.fix_missing_locations(node))
            yield f"{node.lineno}: {before} -> {after}", ast.unparse(mutant)


def is_caught(copied, module, source):
    """Whether the module's tests fail when its source is another."""
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
        return True
    finally:
        path.write_text(original, encoding="utf-8")
    return done.returncode != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", choices=TESTS, help="one module")
    options = parser.parse_args()
    modules = [options.only] if options.only else list(TESTS)
    mutants = [
        (module, *mutant)
        for module in modules
        for mutant in list_mutants(ROOT / "tutorials_lib" / f"{module}.py")
    ]
    drawn = random.Random(options.seed).sample(
        mutants, min(options.number, len(mutants))
    )
    survived = []
    with tempfile.TemporaryDirectory() as folder:
        copied = pathlib.Path(folder) / "copy"
        shutil.copytree(
            ROOT, copied, ignore=shutil.ignore_patterns(".*", "_build", "_runs")
        )
        for module in sorted({module for module, *_ in drawn}):
            source = (copied / "tutorials_lib" / f"{module}.py").read_text("utf-8")
            if is_caught(copied, module, source):
                raise SystemExit(f"the tests of {module} fail as it is")
        for number, (module, line, source) in enumerate(drawn, 1):
            caught = is_caught(copied, module, source)
            if not caught:
                survived.append(f"{module}.py:{line}")
            word = "caught" if caught else "SURVIVED"
            print(f"[{number}/{len(drawn)}] {word} {module}.py:{line}", flush=True)
    print(f"{len(drawn)} of {len(mutants)} tried, {len(survived)} survived")
    print(*survived, sep="\n")


if __name__ == "__main__":
    main()
