"""Every public signature says what it takes and returns; mypy holds bodies to that."""

import ast
import pathlib

import pytest

import tutorials_lib

PACKAGE = pathlib.Path(tutorials_lib.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def is_public(name):
    return not name.startswith("_") or name.endswith("__")


def list_gaps(source):
    """Names what lacks a type in the public functions and methods of a module."""
    gaps = []

    def look_into(body, prefix=""):
        for node in body:
            if isinstance(node, ast.ClassDef) and is_public(node.name):
                look_into(node.body, f"{node.name}.")
            if isinstance(node, ast.FunctionDef) and is_public(node.name):
                name = prefix + node.name
                gaps.extend(f"{name}: {what}" for what in list_untyped(node, prefix))

    look_into(ast.parse(source).body)
    return gaps


def list_untyped(function, prefix):
    each = function.args
    named = [*each.posonlyargs, *each.args]
    static = "staticmethod" in [
        x.id for x in function.decorator_list if isinstance(x, ast.Name)
    ]
    if prefix and not static:
        named = named[1:]
    named += [*each.kwonlyargs, *filter(None, (each.vararg, each.kwarg))]
    untyped = [x.arg for x in named if x.annotation is None]
    return untyped + (["return"] if function.returns is None else [])


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda x: x.relative_to(PACKAGE).as_posix()
)
def test_every_public_signature_is_typed(path):
    assert list_gaps(path.read_text(encoding="utf-8")) == []


def test_gaps_are_found():
    source = """
def half(a: int, b, *c, d=1, **e): ...
def whole(a: int) -> None: ...
def _private(a): ...
class Public:
    def __init__(self, a): ...
    def _private(self, a): ...
    @classmethod
    def make(cls, a: int): ...
    @staticmethod
    def find(a) -> int: ...
class _Private:
    def call(self, a): ...
"""
    assert list_gaps(source) == [
        "half: b",
        "half: d",
        "half: c",
        "half: e",
        "half: return",
        "Public.__init__: a",
        "Public.__init__: return",
        "Public.make: return",
        "Public.find: a",
    ]
