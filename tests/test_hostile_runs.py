"""Untrusted runs and names: the report shows them as text, and reads only files within the folder of a run."""

import dataclasses
import html.parser
import json
import os
import pathlib
import shutil
import warnings

import numpy as np
import pandas
import pytest

from deckeras import _records, cli, files, runs

HTML = """<img src="x" onerror="alert(1)">'"</title></script><script>alert(1)</script>"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run of rows and columns with hostile names, of which each test takes a copy."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    table = pandas.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), columns=[HTML, "b", "c", "d"])
    table["name"], table["class"] = [f"{number}{HTML}" for number in range(30)], [f"{HTML}{k}" for k in range(2)] * 15
    table.to_csv(folder.parent / "rows.csv", index=False)
    options = ["--names", "name", "--labels", "class", "--epochs", "1", "--max-iter", "2", "-q", "-o", str(folder)]
    with warnings.catch_warnings(action="ignore"):
        assert cli.main(["fit", str(folder.parent / "rows.csv"), "-k", "2", *options]) == 0
    return folder


@pytest.fixture
def run(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "run")


class Code(html.parser.HTMLParser):
    """Collects what a page would run, besides its own script."""

    def __init__(self):
        super().__init__()
        self.scripts, self.found = 0, []

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        names = [name for name, value in attributes if name.startswith("on") or (value or "").startswith("javascript:")]
        if names or tag in ("iframe", "object", "embed", "base", "link", "form"):
            self.found.append((tag, attributes))
        if tag == "img" and not dict(attributes)["src"].startswith("data:"):
            self.found.append((tag, attributes))


def runs_code(page):
    parser = Code()
    parser.feed(page)
    return parser.found or parser.scripts != 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [("old.keras", "it is another file"), ("typo", "there is no such folder"), ("empty", "it has no run.json")],
)
@pytest.mark.parametrize("command", ["report", "predict", "evaluate"])
def test_only_the_run_that_is_named_is_read(command, name, reason, run, capsys):
    """Not the one of the folder around it."""
    shutil.copy(run / "model.keras", run / "old.keras")
    (run / "empty").mkdir()
    assert cli.main([command, str(run / name), str(run.parent / "rows.csv")]) == 1
    error = capsys.readouterr().err
    assert name in error
    assert reason in error


def test_data_that_were_moved(run, capsys):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "data": str(run / "moved.csv")}))
    assert cli.main(["report", str(run)]) == 1
    assert "moved.csv'. Pass their path: deckeras report RUN DATA" in capsys.readouterr().err


def test_code_is_found():
    assert runs_code(f"<script></script>{HTML}")
    assert not runs_code("<script>1</script><img src='data:'>")


def test_names_are_text_in_the_report(run):
    page = (run / "report.html").read_text()
    assert "onerror=&quot;alert(1)&quot;" in page
    assert not runs_code(page)


def hostile(value):
    """The value of JSON with HTML in each of its texts and names."""
    if isinstance(value, dict):
        return {f"{name}{HTML}": hostile(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return f"{value}{HTML}" if isinstance(value, str) else value


def test_what_a_run_says_is_text_in_the_report(run):
    record = json.loads((run / "run.json").read_text())
    for name in "title", "command", "facts", "notices", "versions":
        record[name] = hostile(record[name])
    record["warnings"], record["verdict"]["sentences"] = [HTML], [HTML]
    (run / "run.json").write_text(json.dumps(record))
    assert cli.main(["report", str(run), "-q"]) == 0
    assert not runs_code((run / "report.html").read_text())


ENTRIES = ("layout", "settings", "data", "labels", "folder_labels", "history", "facts", "title", "verdict", "kmeans",
           "warnings", "notices", "versions", "sizes", "scores", "command", "seconds")  # fmt: skip


@pytest.mark.parametrize("value", [None, 1, "text", [], ["a"], {}, {"a": 1}, "missing"], ids=repr)
@pytest.mark.parametrize("command", ["report", "predict", "evaluate"])
def test_a_run_with_other_contents_is_refused_or_used(command, value, run, capsys, monkeypatch):
    """There is no error of another kind, and nothing is written that is not a whole report."""
    monkeypatch.chdir(run)
    # What a model answers is of no matter here, and takes time.
    model = runs.load(run)[1]
    monkeypatch.setattr("deckeras.runs.load", lambda path: (str(run), model, None))
    whole = json.loads((run / "run.json").read_text())
    for name in ENTRIES:
        record = {**whole, name: value}
        if value == "missing":
            del record[name]
        (run / "run.json").write_text(json.dumps(record))
        data = [] if command == "report" else [str(run.parent / "rows.csv")]
        code = cli.main([command, str(run), *data, "-q"])
        assert code in (0, 1), (name, value)
        assert (code == 1) == bool(capsys.readouterr().err)


def test_layouts_are_those_of_files():
    assert list(_records.LAYOUT) == [field.name for field in dataclasses.fields(files.Layout)]


@pytest.mark.parametrize("value", [None, 1, "text", [], ["a"], {}, {"a": 1}], ids=repr)
def test_a_layout_with_other_contents_is_refused_or_used(value, run, capsys, monkeypatch):
    model = runs.load(run)[1]
    monkeypatch.setattr("deckeras.runs.load", lambda path: (str(run), model, None))
    whole = json.loads((run / "run.json").read_text())
    for name in [*_records.LAYOUT, "other"]:
        (run / "run.json").write_text(json.dumps({**whole, "layout": {**whole["layout"], name: value}}))
        code = cli.main(["report", str(run), "-q"])
        assert code in (0, 1), (name, value)
        assert (code == 1) == bool(capsys.readouterr().err)


@pytest.mark.parametrize("path", ["../../outside.csv", "/dev/zero", "missing.csv", "pipe.csv"])
def test_data_of_a_run_that_is_elsewhere(path, run, capsys, monkeypatch):
    """`run.json` names the data, which are only read: what is missing, or never ends, is named."""
    monkeypatch.chdir(run)
    os.mkfifo("pipe.csv")
    record = json.loads((run / "run.json").read_text())
    record["data"] = path
    (run / "run.json").write_text(json.dumps(record))
    assert cli.main(["report", str(run), "-q"]) == 1
    assert repr(path) in capsys.readouterr().err


def test_a_run_nested_without_end(run, capsys):
    (run / "run.json").write_text("[" * 100_000)
    assert cli.main(["report", str(run)]) == 1
    assert "run.json' is truncated, damaged or not the record of a run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--help", "-k", "-q", "--resume", "-1"])
def test_data_whose_name_is_an_option(name, tmp_path, capsys, monkeypatch):
    """A path that begins with ./ is no option, but it has no extension."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path(name).write_text("a,b\n1,2\n")
    assert cli.main(["fit", f"./{name}", "-k", "2"]) == 1
    assert f"Received: './{name}'" in capsys.readouterr().err
    assert os.listdir() == [name]


def test_data_whose_name_begins_like_an_option(run, monkeypatch):
    """What is written is beside it, and is read again."""
    monkeypatch.chdir(run.parent)
    shutil.copy(json.loads((run / "run.json").read_text())["data"], "-k.csv")
    options = ["--names", "name", "--drop", "class", "--epochs", "1", "--max-iter", "2", "-q", "--no-report"]
    with warnings.catch_warnings(action="ignore"):
        assert cli.main(["fit", "./-k.csv", "-k", "2", *options]) == 0
    assert sorted(os.listdir()) == ["-k-clusters", "-k.csv", "run"]
    assert cli.main(["predict", "./-k-clusters", "./-k.csv", "-q"]) == 0


@pytest.mark.parametrize("name", ["--help.csv", "-k.csv"])
def test_an_option_that_is_a_file_is_explained(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path(name).write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fit", name, "-k", "2"])
    assert f"./{name}" in capsys.readouterr().err
    assert os.listdir() == [name]
