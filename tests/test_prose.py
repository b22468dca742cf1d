"""The vocabulary of the prose: the field's words, American spelling, and summaries that state what a thing does."""

import ast
import json
import pathlib
import re

import pytest

import deckeras
from deckeras import cli

PACKAGE = pathlib.Path(deckeras.__file__).parent
ROOT = pathlib.Path(__file__).parent.parent

# Patterns that the prose avoids, and words for them.
WORDS = {
    r"surest": "most confident",
    r"dear(er|est)?": "expensive",
    r"torn": "truncated",
    r"wanting": "missing",
    r"mend(s|ed|ing)?": "fix",
    r"shares? of": "fraction of",
    r"(go|goes|going|went|gone) on": "resume, continue",
    r"as they are": "unchanged",
    r"left alone|leaves? alone": "unchanged",
    r"per cent": "percent",
    r"learnt": "learned",
    r"grey": "gray",
    r"behaviours?": "behavior",
    r"favou?rites?|favours?": "preference",
    r"(cent|met|kilomet|centimet|millimet)res?|centred": "center, meter",
    r"colou?rised|colour(s|ed|ing|ful)?": "color",
    r"neighbour(s|ing|hoods?)?": "neighbor",
    r"label(led|ling|lings)": "labeled, labeling",
    r"analys(e|es|ed|ing)": "analyze",
    r"(normal|initial|minim|maxim|optim|regular|general|recogn|summar|organ|standard|visual|serial|random|memor)"
    r"is(e|es|ed|er|ers|ing|ation|ations)": "-ize, -ization",
}
AVOIDED = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in WORDS), re.IGNORECASE)
SUMMARY = re.compile(r"(What|Whether|How|Let|Who)\b")

# Code is free to use any word: fences, names, also of documented arguments, options, formulas, examples, addresses.
CODE = re.compile(
    r"^```.*?^```|^\s*(?:>>>|\.\.\.).*?$|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$|--[\w-]+|\]\([^)]*\)|https?://\S+"
    r"|^ +[a-z_]+(?:, [a-z_]+)*:",
    re.DOTALL | re.MULTILINE,
)


def avoided(text):
    """The avoided words of a text, outside of its code."""
    return [match[0] for match in AVOIDED.finditer(CODE.sub(" ", text))]


def docstrings(path):
    """(line, docstring) of the module and of each class and function of a file."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [(getattr(node, "lineno", 1), text) for node in nodes if (text := ast.get_docstring(node))]


def prose(path):
    """The text of a page, or of the Markdown cells of a notebook."""
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
PAGES += [ROOT / folder / "README.md" for folder in ("benchmarks", "examples/paper", "weights")]  # pages of the site
FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages(path):
    assert not avoided(prose(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_docstrings(path):
    texts = docstrings(path)
    assert not [(line, words) for line, text in texts if (words := avoided(text))]
    assert not [(line, text.splitlines()[0]) for line, text in texts if SUMMARY.match(text)]


@pytest.mark.parametrize("command", [[], ["fit"], ["predict"], ["evaluate"], ["report"], ["choose-k"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([*command, "--help"])
    assert not avoided(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The surest rows.", ["surest"]),
        ("Training goes on. The share of rows is small.", ["goes on", "share of"]),
        ("Frozen layers stay\nas they are.", ["as they are"]),
        ("Colours of the neighbours, normalised", ["Colours", "neighbours", "normalised"]),
        ("The centre is initialised", ["centre", "initialised"]),
        ("The colors of the neighbors are normalized.", []),
        ("Share the code; a forward pass.", []),
        ("`metrics.surest_rows` and --colour", []),
        ("```python\ncolour = 1\n```\nA color.", []),
        ("$colour$ and $$\nneighbour\n$$", []),
        ("Example:\n    >>> neighbours = 3\n", []),
        ("[colors](colours.md), https://example.org/colour", []),
        ("    colour, size: keep the colours.", ["colours"]),
        ("Optimists and generals memorize.", []),
    ],
)
def test_avoided(text, found):
    assert avoided(text) == found


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("What the parser has.", True),
        ("Whether rows are series.", True),
        ("How many rows there are.", True),
        ("Let files load.", True),
        ("Whole numbers only.", False),
        ("Return what the parser has.", False),
    ],
)
def test_summaries(text, bad):
    assert bool(SUMMARY.match(text)) == bad
