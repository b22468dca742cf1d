"""The page of promises: each promise has tests that exist and are collected, and tests marked as long are long."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
LINES = [line for line in (ROOT / "docs" / "promises.md").read_text().splitlines() if line.startswith("| ")]
PROMISES = [line for line in LINES if not line.startswith("| promise |")]


def functions(path):
    """A dict from the name of each function of a file to its source, with its decorators."""
    text = path.read_text()
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {
        node.name: "\n".join(ast.get_source_segment(text, part) or "" for part in node.decorator_list) for node in nodes
    }


def test_there_are_promises():
    assert len(PROMISES) > 20


@pytest.mark.parametrize("line", PROMISES, ids=lambda line: line.split(" | ")[0][2:60])
def test_each_promise_has_tests(line):
    promise, proof = line.strip("| ").split(" | ")
    assert promise.endswith(".")
    named = re.findall(r"(long: )?`([\w/]+\.py)::(test_\w+)`", proof)
    assert re.sub(r"(long: )?`[\w/]+\.py::test_\w+`(, )?", "", proof) == ""
    for long, file, name in named:
        found = functions(ROOT / "tests" / file)
        assert name in found, f"{file} has no {name}"
        assert ("mark.long" in found[name]) == bool(long), name
