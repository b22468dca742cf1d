"""The rooms declare the types of their functions, which `pyright` checks."""

import ast
import pathlib

import pytest

import deckeras

ROOT = pathlib.Path(deckeras.__file__).parent
UNDECLARED = {"__init__.py", "__main__.py", "cli", "files", "plots", "report"}  # rooms whose types are inferred so far
FILES = [path.relative_to(ROOT) for path in sorted(ROOT.rglob("*.py"))]
FILES = [path for path in FILES if path.parts[0] not in UNDECLARED]


def functions(body, method=False):
    """Yield (function, is it a method) of a module and its classes, without those within other functions."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield node, method
        elif isinstance(node, ast.ClassDef):
            yield from functions(node.body, method=True)


def undeclared(source):
    """The names of the parameters without a type, and of the functions without one of what they return."""
    for function, method in functions(ast.parse(source).body):
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        static = any(getattr(each, "id", "") == "staticmethod" for each in function.decorator_list)
        named = named[1:] if method and not static else named
        rest = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
        yield from (f"{function.name}({each.arg})" for each in [*named, *rest] if each.annotation is None)
        if function.returns is None:
            yield function.name


@pytest.mark.parametrize("path", FILES, ids=str)
def test_functions_declare_types(path):
    assert not list(undeclared((ROOT / path).read_text()))


def test_missing_types_are_found():
    source = "def f(a, b: int, *c, d=1, **e): ...\nclass C:\n    def g(self, h) -> None: ...\n"
    assert list(undeclared(source)) == ["f(a)", "f(d)", "f(c)", "f(e)", "f", "g(h)"]


def test_checkers_read_the_declared_types():
    assert (ROOT / "py.typed").is_file()
