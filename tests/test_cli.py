import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas
import pytest
from PIL import Image
from scipy import sparse

import deckeras
from deckeras import cli
from deckeras.cli import terminal

QUICK = ["--epochs", "1", "--max-iter", "20", "-q"]
pytestmark = [
    pytest.mark.usefixtures("eagerly"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config"),
    pytest.mark.filterwarnings("ignore:.*clusters came out", "ignore:The centroids of these pairs"),
]


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def flowers(blobs):
    x, y = blobs
    frame = pandas.DataFrame(x[::3].round(3), columns=list("abcdefgh"))
    frame.assign(name=[f"flower {n}" for n in range(100)], kind=np.array(["r", "s", "t"])[y[::3]]).to_csv(
        "flowers.csv", index=False
    )
    return ["flowers.csv", "--names", "name", "--labels", "kind"]


def run(*arguments):
    assert cli.main(list(arguments)) == 0


def fails(capsys, *arguments):
    assert cli.main(list(arguments)) == 1
    return capsys.readouterr().err


def test_fit_then_predict_and_the_rest(flowers, capsys):
    run("fit", *flowers, "-k", "3", *QUICK)
    assert capsys.readouterr().out == ""
    assert sorted(os.listdir("flowers-clusters")) == [
        "centroids.csv", "clusters.csv", "history.csv", "model.keras", "report.html", "run.json",
    ]  # fmt: skip
    clusters = pandas.read_csv("flowers-clusters/clusters.csv")
    assert list(clusters) == ["name", "cluster", "confidence", "q0", "q1", "q2"]
    assert clusters.name.tolist() == [f"flower {n}" for n in range(100)]
    np.testing.assert_allclose(clusters[["q0", "q1", "q2"]].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(clusters[["q0", "q1", "q2"]].to_numpy().argmax(axis=1), clusters.cluster)
    centroids = pandas.read_csv("flowers-clusters/centroids.csv")
    assert list(centroids) == ["cluster", *"abcdefgh"]
    assert len(centroids) == 3
    assert "flower 7" in pathlib.Path("flowers-clusters/report.html").read_text()

    frame = pandas.read_csv("flowers.csv").iloc[::-1]
    frame[[*"hgfedcba", "name"]].to_csv("new.csv", index=False)
    run("predict", "flowers-clusters", "new.csv", "-o", "new-clusters.csv", "-q")
    new = pandas.read_csv("new-clusters.csv")
    assert new.name.tolist() == clusters.name.tolist()[::-1]
    np.testing.assert_array_equal(new.cluster, clusters.cluster[::-1])

    frame.rename(columns={"name": "größe"}).to_csv("other.csv", index=False, sep=";", encoding="cp1252")
    other = "--encoding", "cp1252", "--names", "größe", "-o", "other-clusters.csv", "-q"
    run("predict", "flowers-clusters", "other.csv", *other)
    pandas.testing.assert_series_equal(pandas.read_csv("other-clusters.csv").name, new.name)

    run("predict", "flowers-clusters/model.keras", "new.csv")
    assert capsys.readouterr().out.splitlines()[:1] == ["name,cluster,confidence,q0,q1,q2"]

    run("evaluate", "flowers-clusters", "flowers.csv", "--json")
    scores = json.loads(capsys.readouterr().out)
    expected = deckeras.metrics.scores(pandas.read_csv("flowers.csv").kind, clusters.cluster)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)

    before = pathlib.Path("flowers-clusters/report.html").read_text()
    os.remove("flowers-clusters/report.html")
    run("report", "flowers-clusters")
    assert "flowers-clusters/report.html" in capsys.readouterr().out
    again = pathlib.Path("flowers-clusters/report.html").read_text()
    assert len(again) == pytest.approx(len(before), rel=0.01)


def test_json_is_all_that_is_printed(flowers, capsys):
    run("fit", *flowers, "-k", "3", *QUICK[:-1], "--json", "-o", "out", "--no-report")
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "out/model.keras"
    assert sum(found["sizes"]) == 100
    assert set(found["scores"]) == {"acc", "nmi", "ari"}
    assert not os.path.exists("out/report.html")


def test_a_second_run_does_not_overwrite_the_first(flowers, capsys):
    run("fit", *flowers, "-k", "3", *QUICK)
    assert "holds a run already" in fails(capsys, "fit", *flowers, "-k", "3", *QUICK)
    assert "holds another run, with settings" in fails(capsys, "fit", *flowers, "-k", "4", "--resume", *QUICK)


def more(frame):
    return pandas.concat([frame, frame[:5]])


def moved(frame):
    return frame.assign(a=frame.a + 0.5)


CHANGES = {
    "more rows": more,
    "fewer rows": lambda frame: frame[:-1],
    "another order": lambda frame: frame[::-1],
    "other values": moved,
    "other names": lambda frame: frame.assign(name=frame.name.str.upper()),
}
KINDS = ["table", "array", "sparse", "texts", "images"]


def write_data(kind, frame):
    """Write the rows of a frame as data of a kind. Return the arguments of `fit`."""
    x = frame[list("abcdefgh")].to_numpy()
    if kind == "table":
        frame.to_csv("data.csv", index=False)
        return ["data.csv", "--names", "name", "--drop", "kind"]
    if kind == "array":
        np.save("data.npy", x)
        return ["data.npy"]
    if kind == "sparse":
        sparse.save_npz("data.npz", sparse.csr_matrix(np.abs(x)))
        return ["data.npz"]
    if kind == "texts":
        words = [", ".join(f"word{round(value)}" for value in row) for row in x]
        pandas.DataFrame({"n": range(len(x)), "text": words}).to_csv("data.csv", index=False)
        return ["data.csv", "--text", "text"]
    shutil.rmtree("data", ignore_errors=True)
    os.mkdir("data")
    for number, row in enumerate(x):
        pixels = np.tile((40 * row + 100).clip(0, 255), (8, 1)).astype("uint8")
        Image.fromarray(pixels).save(f"data/{number:03}.png")
    return ["data"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_run_of_other_rows_is_not_resumed(flowers, capsys, kind):
    frame = pandas.read_csv("flowers.csv")
    fit = ["fit", *write_data(kind, frame), "-k", "3", "--no-report", *QUICK]
    run(*fit)
    run(*fit, "--resume")  # the same rows
    before = contents("data-clusters")
    for what, change in CHANGES.items():
        if what == "other names" and kind != "table":
            continue
        write_data(kind, change(frame))
        error = fails(capsys, *fit, "--resume")
        assert "'data-clusters' holds a run of other rows. It had 100 with" in error, (kind, what, error)
        assert f"Received: {len(change(frame))} rows" in error
    assert contents("data-clusters") == before
    write_data(kind, frame)
    record = json.loads(before["run.json"])
    del record["rows"]  # as earlier versions write it
    pathlib.Path("data-clusters/run.json").write_text(json.dumps(record))
    run(*fit, "--resume")


def contents(folder):
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def test_a_finished_run_is_not_trained_again(flowers, capsys, monkeypatch):
    run("fit", *flowers, "-k", "3", *QUICK[:-1], "--json")
    first = json.loads(capsys.readouterr().out)
    before = contents("flowers-clusters")
    monkeypatch.setattr(deckeras.DEC, "fit", lambda *_, **__: pytest.fail("it was trained"))
    run("fit", *flowers, "-k", "3", *QUICK[:-1], "--json", "--resume")
    assert json.loads(capsys.readouterr().out) == first
    assert contents("flowers-clusters") == before


def test_checkpoints_are_kept_where_asked_for(flowers, capsys):
    run("fit", *flowers, "-k", "3", *QUICK, "--keep-checkpoints")
    assert {"checkpoint.h5", "pretraining.h5"} <= set(os.listdir("flowers-clusters"))
    assert "--resume" in fails(capsys, "fit", *flowers, "-k", "3", *QUICK)
    clusters = pathlib.Path("flowers-clusters/clusters.csv").read_text()
    run("fit", *flowers, "-k", "3", *QUICK[:-1], "--resume")
    assert "restored" in capsys.readouterr().err
    assert pathlib.Path("flowers-clusters/clusters.csv").read_text() == clusters
    assert "checkpoint.h5" not in os.listdir("flowers-clusters")


def test_other_files_of_the_folder_are_left(flowers):
    os.mkdir("out")
    for name in ("mine.h5", "pretraining-notes.h5"):
        pathlib.Path("out", name).write_text("mine")
    run("fit", *flowers, "-k", "3", *QUICK, "-o", "out")
    assert {"mine.h5", "pretraining-notes.h5"} <= set(os.listdir("out"))
    assert "checkpoint.h5" not in os.listdir("out")


@pytest.mark.parametrize("options", [[], ["--method", "idec"], ["--recipe", "paper", "--max-iter", "4"]])
def test_each_stage_has_a_line(flowers, capsys, monkeypatch, options):
    paper = deckeras.recipes.get("paper", layer_iterations=2, min_pretraining_iterations=2, units=(8, 2))
    monkeypatch.setattr(deckeras.recipes, "RECIPES", {**deckeras.recipes.RECIPES, "paper": paper})
    run("fit", *flowers, "-k", "3", *QUICK[:-1], *options)
    out, error = capsys.readouterr()
    stages = [line.split(":")[0] for line in error.splitlines() if not line.startswith(("Note", "Warning"))]
    pretraining = ["pretraining"]
    if "paper" in options:
        pretraining = ["pretraining of layer 1", "pretraining of layer 2", "pretraining"]
    decoder = [] if "idec" in options else ["decoder"]
    assert stages == [*pretraining, "start", "clustering", *decoder, "report"]
    assert "Epoch" not in out + error


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.slow
def test_a_terminal_has_a_bar_with_the_time_left(flowers, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    run("fit", *flowers, "-k", "3", "--epochs", "3", "--max-iter", "300", "--tol", "0")
    error = sys.stderr.getvalue()
    assert "3/3" in error
    assert "s/epoch" in error
    assert "━" in error
    assert "loss" not in capsys.readouterr().out


@pytest.mark.parametrize("mistake", [["--seed", "-1"], ["--recipe", "images"]])
def test_a_mistake_does_not_block_the_corrected_command(flowers, capsys, mistake):
    fails(capsys, "fit", *flowers, "-k", "3", *mistake, *QUICK)
    run("fit", *flowers, "-k", "3", *QUICK)


def test_labels_are_checked_before_the_training(flowers, capsys):
    pandas.read_csv("flowers.csv").assign(kind=None).to_csv("flowers.csv", index=False)
    assert "the column 'kind' should hold labels. Received: none" in fails(capsys, "fit", *flowers, "-k", "3", *QUICK)
    assert not os.path.exists("flowers-clusters")


def test_rows_without_a_label_are_clustered_but_not_scored(flowers, capsys):
    frame = pandas.read_csv("flowers.csv")
    frame.assign(kind=[None] * 40 + frame.kind[40:].tolist()).to_csv("flowers.csv", index=False)
    run("fit", *flowers, "-k", "3", *QUICK[:-1])
    out, error = capsys.readouterr()
    assert "40 of 100 rows have no label" in error
    assert "DEC: ACC" in out
    assert "k-means on the same rows: ACC" in out
    known = pandas.read_csv("flowers-clusters/clusters.csv").cluster[40:]
    scores = deckeras.metrics.scores(frame.kind[40:], known)
    with open("flowers-clusters/run.json") as file:
        found = json.load(file)
    assert found["scores"] == pytest.approx(scores)
    assert found["kmeans"]["scores"]["acc"] > 0.9
    assert found["verdict"]["level"] in ("fair", "steady")


@pytest.mark.skipif(os.name == "nt", reason="names of files are not bytes there")
def test_names_that_are_no_text_do_not_fail_after_the_training(capsys):
    os.mkdir(b"ph\xf6tos")
    for number in range(12):
        name = b"\xfc.png" if number == 5 else b"%d.png" % number
        pixels = np.random.default_rng(number).integers(0, 255, size=(4, 4), dtype="uint8")
        Image.fromarray(pixels).save(os.fsdecode(b"ph\xf6tos/" + name))
    run("fit", os.fsdecode(b"ph\xf6tos"), "-k", "2", "-o", "out", "--epochs", "1", "--max-iter", "2")
    assert "\\xfc.png" in pandas.read_csv("out/clusters.csv").name.tolist()
    assert "\\xfc.png" in pathlib.Path("out/report.html").read_text()


def test_series_of_an_array(blobs, capsys):
    """The command takes them for what the estimator does."""
    x, _ = blobs
    np.save("series.npy", np.tile(x[::5, None], (1, 20, 1))[..., :3])
    run("fit", "series.npy", "-k", "2", *QUICK[:-1])
    out, error = capsys.readouterr()
    assert "60 series of 20 x 3" in out
    assert "series of (time, channels)" in error
    run("report", "series-clusters", "-q")
    page = pathlib.Path("series-clusters/report.html").read_text()
    assert "data:image/svg+xml" in page  # a curve for each row
    assert "data:image/png" not in page
    run("predict", "series-clusters", "series.npy", "-o", "new.csv", "-q")
    clusters = [pandas.read_csv(path).cluster.tolist() for path in ("series-clusters/clusters.csv", "new.csv")]
    assert clusters[0] == clusters[1]


def test_results_are_written_back_to_cells(blobs, capsys):
    import h5py

    x, _ = blobs
    with h5py.File("cells.h5ad", "w") as file:
        file["X"] = x[::6]
        obs = file.create_group("obs")
        obs.attrs.update({"_index": "_index", "column-order": ["n"]})
        obs["_index"], obs["n"] = [f"cell{n}" for n in range(50)], np.arange(50)
    run("fit", "cells.h5ad", "-k", "3", "--write-obs", *QUICK)
    clusters = pandas.read_csv("cells-clusters/clusters.csv")
    assert clusters.name[7] == "cell7"
    rows = deckeras.files.read("cells.h5ad", labels="deckeras")
    assert rows.labels.tolist() == clusters.cluster.astype(str).tolist()
    assert deckeras.files.read("cells.h5ad", key="obsm/X_deckeras").x.shape == (50, 10)
    np.save("x.npy", x)
    assert "--write-obs needs" in fails(capsys, "fit", "x.npy", "-k", "3", "--write-obs", *QUICK)


def test_results_are_tried_before_the_training(flowers, capsys, monkeypatch):
    def fail(*arguments):
        raise ValueError("no page today")

    monkeypatch.setattr(deckeras.report, "make", fail)
    monkeypatch.setattr(deckeras.DEC, "fit", lambda *_, **__: pytest.fail("it was trained"))
    assert "no page today" in fails(capsys, "fit", *flowers, "-k", "3", *QUICK)
    assert ".csv or .parquet" in fails(capsys, "predict", "nowhere", "flowers.csv", "-o", "x.txt")
    assert "no folder" in fails(capsys, "predict", "nowhere", "flowers.csv", "-o", "nowhere/x.csv")
    assert "The figure should be" in fails(capsys, "choose-k", *flowers, "-o", "k.txt")


@pytest.mark.usefixtures("compiled")
def test_images_of_a_folder(capsys):
    os.mkdir("photos")
    for number in range(24):
        for name, shades in ("dark", (10, 90)), ("light", (160, 240)):
            os.makedirs(f"photos/{name}", exist_ok=True)
            pixels = np.random.default_rng(number).integers(*shades, size=(8, 8), dtype="uint8")
            Image.fromarray(pixels).save(f"photos/{name}/{number:02}.png")
    run("fit", "photos", "-k", "2", "--folder-labels", "--epochs", "20", "--max-iter", "10")
    out = capsys.readouterr().out
    assert "48 images of 8 x 8" in out
    assert "ACC 100.00 %" in out
    clusters = pandas.read_csv("photos-clusters/clusters.csv")
    assert clusters.name[0] == "dark/00.png"
    run("predict", "photos-clusters", "photos/light", "-o", "light.parquet", "-q")
    assert pandas.read_parquet("light.parquet").cluster.nunique() == 1
    assert pandas.read_csv("photos-clusters/centroids.csv").shape == (2, 65)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["clusters.csv", "history.csv", "report.html", "centroids.csv", "model.keras"])
def test_files_that_are_not_of_a_run_are_not_replaced(flowers, capsys, name):
    """Such as the data themselves, in the folder that is named as the output."""
    os.rename("flowers.csv", "data.csv")
    pathlib.Path(name).write_text("mine")
    assert f"'.' holds {name}, which a run would replace" in fails(
        capsys, "fit", "data.csv", *flowers[1:], "-k", "3", *QUICK, "-o", "."
    )
    assert pathlib.Path(name).read_text() == "mine"
    assert not os.path.exists("run.json")


def test_what_is_read_is_not_replaced(flowers, capsys):
    run("fit", *flowers, "-k", "3", *QUICK)
    before = pathlib.Path("flowers.csv").read_bytes()
    os.symlink("flowers.csv", "link.csv")
    os.mkdir("folder.csv")
    for path in "flowers.csv", "./flowers.csv", "link.csv":
        assert "is read. Choose another file" in fails(capsys, "predict", "flowers-clusters", "flowers.csv", "-o", path)
    assert "should not be a folder" in fails(capsys, "predict", "flowers-clusters", "flowers.csv", "-o", "folder.csv")
    os.link("flowers.csv", "flowers.html")
    assert "is read" in fails(capsys, "report", "flowers-clusters", "flowers.csv", "-o", "flowers.html")
    assert "should be an .html file" in fails(capsys, "report", "flowers-clusters", "-o", "flowers.csv")
    assert pathlib.Path("flowers.csv").read_bytes() == before


def test_a_report_of_other_rows_has_no_numbers_of_the_first(flowers, capsys):
    run("fit", *flowers, "-k", "3", *QUICK)
    frame = pandas.read_csv("flowers.csv")
    frame[:20].drop(columns="kind").to_csv("new.csv", index=False)
    run("report", "flowers-clusters", "new.csv", "-o", "new.html")
    assert "the report has no scores. There is no column 'kind'" in capsys.readouterr().err
    frame[:50].to_csv("flowers.csv", index=False)  # the file of the run, which has changed
    run("report", "flowers-clusters", "-o", "changed.html", "-q")
    frame.iloc[[*range(50)] * 2].to_csv("flowers.csv", index=False)  # as many rows as before
    run("report", "flowers-clusters", "-o", "equal.html", "-q")
    for name, n in ("new.html", 20), ("changed.html", 50), ("equal.html", 100):
        page = pathlib.Path(name).read_text()
        assert f"{n} rows" in page
        assert n == 100 or "100 rows" not in page
        assert "k-means on the same rows" not in page
    assert "k-means on the same rows" in pathlib.Path("flowers-clusters/report.html").read_text()


def test_labels_that_are_missing_do_not_stop_the_choice(flowers, capsys):
    frame = pandas.read_csv("flowers.csv")
    frame.loc[[3, 57], "kind"] = None
    frame.to_csv("flowers.csv", index=False)
    run("choose-k", *flowers, "--to", "2", "--epochs", "1", "--max-iter", "2", "--json")
    assert "nmi" not in json.loads(capsys.readouterr().out)["rows"][0]


def test_names_of_columns_may_have_line_breaks():
    """As headers of spreadsheets do; the report is written again from the files of the run."""
    rows = np.random.default_rng(0).random((30, 3))
    pandas.DataFrame(rows, columns=["length\n(cm)", 'weight\n"net"', "b, c"]).to_csv("broken.csv", index=False)
    run("fit", "broken.csv", "-k", "2", *QUICK)
    before = pathlib.Path("broken-clusters", "report.html").read_text()
    run("report", "broken-clusters", "-q")
    assert pathlib.Path("broken-clusters", "report.html").read_text() == before


def test_choose_k(flowers, capsys):
    run("choose-k", *flowers, "--to", "3", "--epochs", "30", "--max-iter", "20", "--json", "-o", "k.png")
    out, error = capsys.readouterr()
    found = json.loads(out)
    assert [line.split(":")[0] for line in error.splitlines()] == ["pretraining", *["start", "clustering"] * 2]
    assert found["n_clusters"] == 3
    assert [row["n_clusters"] for row in found["rows"]] == [2, 3]
    with Image.open("k.png") as figure:
        assert figure.size[0] > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "none.csv", "-k", "3"], "There is no file or folder 'none.csv'"),
        (["fit", "flowers.csv", "-k", "3"], '- column "name" holds text'),
        (
            ["fit", "flowers.csv", "--drop", "name", "kind", "-k", "101"],
            "n_clusters should be at most the number of rows",
        ),
        (["predict", "nowhere", "flowers.csv"], "should be a folder that `deckeras fit` has written"),
        (
            ["choose-k", "flowers.csv", "--drop", "name", "kind", "--from", "3", "--to", "2"],
            "candidates should be numbers of clusters",
        ),
        (
            ["choose-k", "flowers.csv", "--drop", "name", "kind", "--to", "81"],
            "from 2 to the 80 rows",
        ),
        (["choose-k", "flowers.csv", "-o", "missing/k.png"], "There is no folder"),
        (["report", "missing", "-o", "missing/r.html"], "There is no folder"),
    ],
)
@pytest.mark.usefixtures("flowers")
def test_errors_are_one_message_and_code_1(capsys, arguments, message):
    error = fails(capsys, *arguments)
    assert "\nError: " in f"\n{error}"
    assert message in error
    assert "Traceback" not in error
    assert not [name for name in os.listdir() if name.endswith("-clusters") and os.listdir(name)]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fit", "flowers.csv"],
        ["fit", "a", "-k", "x"],
        ["fit", "a", "-k", "0"],
        ["fit", "a", "-k", "2", "--epochs", "-1"],
        ["fit", "a", "-k", "2", "--image-size", "0"],
        ["fit", "a", "-k", "2", "--image-shape", "8", "0"],
        ["fit", "a", "-k", "2", "--skip", "-1"],
        ["choose-k", "a", "--from", "1"],
        ["choose-k", "a", "--to", "1"],
        ["fit", "a", "-k", "2", "--max-iter", "0"],
        ["fit", "a", "-k", "2", "-q", "--json"],
    ],
)
def test_bad_commands_are_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as error:
        cli.main(arguments)
    assert error.value.code == 2
    assert "usage: deckeras" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "fit", "predict", "evaluate", "report", "choose-k"])
def test_help_shows_how(capsys, command):
    with pytest.raises(SystemExit) as error:
        cli.main([*([command] if command else []), "--help"])
    assert error.value.code == 0
    assert f"deckeras {command}".strip() in capsys.readouterr().out


@pytest.mark.programs
def test_a_closed_pipe_ends_nothing(flowers):
    """As `deckeras predict ... | head -1` does; of more rows than the pipe holds."""
    run("fit", *flowers, "-k", "3", *QUICK)
    pandas.concat([pandas.read_csv("flowers.csv")] * 50).to_csv("new.csv", index=False)
    command = [sys.executable, "-m", "deckeras", "predict", "flowers-clusters", "new.csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        first = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert first.strip() == b"name,cluster,confidence,q0,q1,q2"
    assert (process.returncode, errors.count("rror")) == (0, 0), errors


@pytest.mark.slow
def test_ctrl_c_keeps_the_checkpoint_and_says_how_to_resume(flowers):
    """A run that is interrupted and resumed ends as one that never was."""
    arguments = ["fit", *flowers, "-k", "3", "--epochs", "2", "--max-iter", "800", "--tol", "0", "--no-report"]
    command = [sys.executable, "-m", "deckeras", *arguments]
    process = subprocess.Popen([*command, "-o", "stopped"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not os.path.exists("stopped/checkpoint.h5") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert not os.path.exists("stopped/model.keras")
    assert ": stopped after" in error
    resume = error.split("To resume: ")[1].splitlines()[0]
    assert resume.startswith("deckeras fit flowers.csv")
    assert resume.endswith("-o stopped --resume")
    for options in (["-o", "stopped", "--resume"], ["-o", "whole"]):
        subprocess.run([*command, *options], check=True, capture_output=True, timeout=300)
    stopped, whole = (pandas.read_csv(f"{folder}/clusters.csv") for folder in ("stopped", "whole"))
    pandas.testing.assert_frame_equal(stopped, whole)


def test_an_interrupt_that_was_dropped_comes_again():
    def drop_the_first():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        time.sleep(10)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), terminal.interruptible():
        drop_the_first()
    assert signal.getsignal(signal.SIGINT) is before


def test_debug_shows_where_an_error_comes_from(flowers, capsys, monkeypatch):
    def broken(*_, **__):
        raise TypeError("unsupported operand")

    monkeypatch.setattr(deckeras.DeepEmbeddedClustering, "fit", broken)
    assert fails(capsys, "fit", *flowers, "-k", "3", *QUICK).endswith("unsupported operand (--debug shows where)\n")
    assert "in broken" in fails(capsys, "fit", *flowers, "-k", "3", "-o", "other", "--debug", *QUICK)
