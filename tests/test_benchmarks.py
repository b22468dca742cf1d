"""The scripts behind the figures in README and benchmarks."""

import dataclasses
import importlib.util
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pandas
import pytest

from deckeras import recipes

pytestmark = pytest.mark.programs

BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch):
    """Scripts find the modules beside them, as when they are run."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def results():
    return load(BENCHMARKS / "results.py")


@pytest.fixture
def settings():
    return load(BENCHMARKS / "settings.py")


@pytest.fixture
def runs(results, tmp_path, monkeypatch):
    """The commands that were run, each of which leaves the summary that the example would."""
    commands = []

    def run(command, check):
        options = dict(zip(command[2::2], command[3::2], strict=False))
        commands.append([str(word) for word in command[1:]])
        method = "idec" if "idec" in command else "dec"
        acc = {"0": 0.7, "1": 0.9}[options["--seed"]]
        scores = {key: {"acc": acc, "nmi": 0.5, "ari": 0.25} for key in ("k-means", "ae+k-means", method)}
        output = pathlib.Path(options["--output"])
        output.mkdir(parents=True, exist_ok=True)
        (output / "pretraining.h5").touch()
        (output / "history.csv").write_text(f"update,acc,seconds\n1,0.6,6\n2,{acc},30\n")
        (output / "summary.json").write_text(
            json.dumps({"method": method, "scores": scores, "seconds": {"pretrain": 60, "cluster": 30}})
        )

    monkeypatch.setattr(results.subprocess, "run", run)
    return commands


def test_runs_each_seed_once_and_prints_mean_and_standard_deviation(results, runs, tmp_path, capsys):
    arguments = ["--seeds", "2", "--data", "x.npz", "--methods", "dec", "idec", "--output", str(tmp_path)]
    results.main(arguments)
    example = str(BENCHMARKS.parent / "examples" / "run_mnist.py")
    assert len(runs) == 4
    for seed, command in enumerate(runs[:2]):
        output = str(tmp_path / "digits" / f"dec-{seed}")
        options = ["--dataset", "digits", "--seed", str(seed), "--output", output]
        assert command == [example, *options, "--recipe", "images", "--no-augment", "--data", "x.npz"]
    lines = capsys.readouterr().out.splitlines()
    assert "| k-means | 2 | 80.00 ± 10.00 | 50.00 ± 0.00 | 25.00 ± 0.00 |  |" in lines
    assert "| dec: autoencoder + k-means | 2 | 80.00 ± 10.00 | 50.00 ± 0.00 | 25.00 ± 0.00 | 1.0 |" in lines
    assert "| **idec** | 2 | 80.00 ± 10.00 | 50.00 ± 0.00 | 25.00 ± 0.00 | 1.5 |" in lines
    results.main(arguments)
    assert len(runs) == 4


def test_prints_what_is_finished(results, runs, tmp_path, capsys):
    results.main(["--seeds", "1", "--methods", "dec", "--output", str(tmp_path)])
    capsys.readouterr()
    results.main(["--seeds", "2", "--methods", "paper", "dec", "--output", str(tmp_path), "--only-finished"])
    assert len(runs) == 1
    shown = capsys.readouterr().out
    assert "| **dec** | 1 | 70.00 ± 0.00" in shown
    assert "paper" not in shown


def test_prints_the_minutes_to_an_accuracy(results, runs, tmp_path, capsys):
    """60 s of pretraining, then 6 s to 60 %, and 30 s to 70 % of one seed and 90 % of the other."""
    arguments = ["--seeds", "2", "--methods", "short", "--output", str(tmp_path), "--reach", "0.6", "0.7", "0.8"]
    results.main(arguments)
    header, rule, *lines = capsys.readouterr().out.splitlines()[1:]
    assert header.endswith("| minutes | minutes to 60 % | minutes to 70 % | minutes to 80 % |")
    assert {line.count("|") for line in (header, rule, *lines)} == {10}
    assert [line.endswith("|  |  |  |") for line in lines] == [True, True, False]
    assert lines[-1].endswith("| 1.1 | 1.5 | 1 of 2 get there |")


def test_idec_shares_the_pretraining(results, runs, tmp_path):
    results.main(["--seeds", "1", "--methods", "dec+augmentation", "--output", str(tmp_path)])
    results.main(["--seeds", "1", "--methods", "idec", "--output", str(tmp_path)])
    assert (tmp_path / "digits" / "idec-0" / "pretraining.h5").exists()


def test_every_method_is_one_that_the_example_takes(results):
    example = load(results.EXAMPLE)
    for options in map(results.METHODS.get, results.METHODS.keys() - results.PEERS):
        assert example.parse([*options, "--dataset", "digits"]).recipe in ("images", "dec-keras", "paper")


def test_another_implementation_is_run_by_a_script_of_its_own(results, runs, tmp_path, capsys):
    results.main(["--seeds", "1", "--methods", "clustpy", "dec", "--output", str(tmp_path)])
    assert [pathlib.Path(command[0]).name for command in runs] == ["peer.py", "run_mnist.py"]


@pytest.mark.skipif(not importlib.util.find_spec("clustpy"), reason="needs the extra benchmarks")
def test_clustpy_is_scored_after_each_pass(tmp_path):
    command = [sys.executable, BENCHMARKS / "peer.py", "--epochs", "3", "2", "--output", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    history = pandas.read_csv(tmp_path / "history.csv")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(history) == ["seconds", "acc", "nmi", "ari"]
    assert history["seconds"][0] == 0 < history["seconds"][1] < history["seconds"][2] == summary["seconds"]["cluster"]
    assert summary["seconds"]["pretrain"] > 0
    assert summary["scores"]["ae+k-means"] == dict(history.loc[0, ["acc", "nmi", "ari"]])
    assert summary["scores"]["clustpy"] == dict(history.loc[2, ["acc", "nmi", "ari"]])


def test_each_change_is_run_once_on_the_pretraining_that_is_its_own(settings, tmp_path, monkeypatch, capsys):
    runs = []

    def cluster(recipe, x, y, seed, directory):
        runs.append((recipe, len(x), seed, pathlib.Path(directory).name))
        return {"before": 0.5, "after": {"iris": 0.75, "wine": 1.0}[pathlib.Path(directory).parent.name] - seed / 10}

    monkeypatch.setattr(settings, "cluster", cluster)
    changes = ["as it is", "embedding scaled to 3", "dropout 0.2 in pretraining"]
    arguments = [
        "table",
        "--datasets",
        "iris",
        "wine",
        "--seeds",
        "2",
        "--output",
        str(tmp_path),
        "--changes",
        *changes,
    ]
    settings.main(arguments)
    assert [(rows, seed, directory) for _, rows, seed, directory in runs[:6]] == [
        (150, 0, "as it is-0"),
        (150, 1, "as it is-1"),
        (150, 0, "as it is-0"),
        (150, 1, "as it is-1"),
        (150, 0, "dropout 0.2 in pretraining-0"),
        (150, 1, "dropout 0.2 in pretraining-1"),
    ]
    assert [recipe.embedding_scale for recipe, *_ in runs[:6]] == [None, None, 3.0, 3.0, None, None]
    assert [recipe.dropout for recipe, *_ in runs[:6]] == [0, 0, 0, 0, 0.2, 0.2]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| | iris | wine | mean |"
    assert lines[2] == "| autoencoder + k-means | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 |"
    assert lines[3] == "| as it is | 70.0 ± 5.0 | 95.0 ± 5.0 | 82.5 |"
    settings.main(arguments)
    assert len(runs) == 12


def test_a_setting_is_measured_on_real_rows(settings, monkeypatch, tmp_path, blobs):
    recipe = recipes.get("table", units=(16, 2), min_pretraining_iterations=300, max_iterations=200)
    scores = settings.cluster(recipe, *blobs, seed=0, directory=str(tmp_path))
    assert scores["before"] > 0.9
    assert scores["after"] > 0.9
    assert (tmp_path / "pretraining.h5").exists()


@pytest.mark.parametrize("name", ["table", "images"])
def test_changes_of_the_pretraining_are_known_as_such(settings, name):
    asis = recipes.get(name)
    for change in settings.CHANGES[name].values():
        other = dataclasses.replace(asis, **change)
        same = asis.batches(5000) == other.batches(5000)
        same &= (asis.dropout, asis.shift, asis.rotation) == (other.dropout, other.shift, other.rotation)
        assert same == (not settings.OF_PRETRAINING & set(change))


def test_unknown_changes_are_refused(settings, capsys):
    with pytest.raises(SystemExit):
        settings.main(["table", "--datasets", "iris", "--changes", "more layers"])
    assert "Received: ['more layers']" in capsys.readouterr().err


@pytest.mark.slow
def test_scale_measures_each_case_once(tmp_path, monkeypatch, capsys):
    scale = load(BENCHMARKS / "scale.py")
    arguments = ["--cases", "300,12,3", "--units", "8,2", "--output", str(tmp_path)]
    scale.main(arguments)
    printed = capsys.readouterr().out
    assert "| rows | features | clusters | pretraining, a pass (s) |" in printed
    cells = [cell.strip() for cell in printed.splitlines()[-1].strip("|").split("|")]
    assert cells[:3] == ["300", "12", "3"]
    found = json.loads((tmp_path / "300-12-3.json").read_text())
    assert found["pretraining"] > 0
    assert set(scale.STAGES) < set(found)
    assert found["peak"] >= found["libraries"] > 50
    assert [path.name for path in tmp_path.iterdir()] == ["300-12-3.json"]

    monkeypatch.setattr(scale, "run", None)
    scale.main(arguments)
    assert capsys.readouterr().out == printed


@pytest.fixture
def speed(monkeypatch):
    return load(BENCHMARKS / "speed.py")


@pytest.mark.slow
def test_speed_lets_contestants_take_turns(speed, tmp_path, capsys):
    arguments = ["--contestants", "deckeras", "plain", "--rows", "512", "--rounds", "2", "--output", str(tmp_path)]
    speed.main(arguments)
    seconds = json.loads((tmp_path / "speed.json").read_text())["seconds"]
    assert list(seconds) == ["numpy", "deckeras", "plain"]
    for name, tasks in seconds.items():
        expected = {"numpy": ["product"], "plain": list(speed.TASKS)}.get(name, [*speed.TASKS, "product"])
        assert [task for task in tasks if not task.startswith("first ")] == expected
        assert all(len(tasks[task]) == 2 and min(tasks[task]) > 0 for task in expected)
    text = (tmp_path / "speed.md").read_text()
    assert text in capsys.readouterr().out
    assert text.count("\n| deckeras | ") == text.count("\n| plain | ") == text.count("\n- plain: ") == 1


def test_speed_counts_arithmetic_and_ratios(speed):
    """Two rows: the encoder's products are 784 * 500 + 500 * 500 + 500 * 2000 + 2000 * 10."""
    weights = 784 * 500 + 500 * 500 + 500 * 2000 + 2000 * 10
    assert speed.arithmetic("predict", 2) == 2 * 2 * weights
    assert speed.arithmetic("clustering", 2) == 2 * 2 * (3 * weights - 784 * 500)
    assert speed.arithmetic("pretraining", 2) == 2 * 2 * (6 * weights - 784 * 500)

    second = 2 * 4096**3 / 1e9  # at 1 GFLOP/s
    rows = round(1e9 / speed.arithmetic("predict", 1))
    times = {"pretraining": [2.0, 4.0, 9.0], "clustering": [1.0, 1.0, 1.0], "predict": [2.0, 2.0, 2.0]}
    slower = {task: [2 * value for value in values] for task, values in times.items()}
    seconds = {
        "numpy": {"product": [second] * 3},
        "deckeras": {**times, "first pretraining": [7.0]},
        "clustpy": {**slower, "first pretraining": [8.0], "product": [second / 3] * 3},
        "parts": {"first `import keras`": [3.0], "`import keras`": [1.0, 2.0, 3.0]},
    }
    lines = speed.table(seconds, rows).splitlines()
    assert lines[0].endswith(": 1 GFLOP/s.")
    assert lines[1] == "The same by the backends: numpy 1, clustpy 3."
    cells = [cell.strip() for cell in next(line for line in lines if line.startswith("| deckeras")).split("|")]
    assert cells[2] == "4.00 (2.00 to 9.00)"
    assert cells[6:9] == ["2.00 (2.00 to 2.00)", "50", "7.0"]
    assert "- clustpy: pretraining 2.00, clustering 2.00, assigning 2.00" in lines
    assert lines[-1] == "| `import keras` | 2.00 (1.00 to 3.00) |"


def test_speed_says_which_contestant_ended(speed, tmp_path):
    with pytest.raises(RuntimeError, match="A contestant ended: .*deckeras.nonsense"):
        speed.main(["--contestants", "deckeras+nonsense", "--rows", "0", "--output", str(tmp_path)])


def test_breakdown_counts_each_second_once(monkeypatch):
    breakdown = load(BENCHMARKS / "breakdown.py")
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    monkeypatch.setattr(breakdown.time, "perf_counter", lambda: next(now))
    watch = breakdown.Stopwatch()

    class Work:
        def whole(self):
            return self.inner()

        def inner(self):
            return "done"

    watch.watch(Work, "whole", "whole")
    watch.watch(Work, "inner", "inner")
    assert Work().whole() == "done"
    watch.stop()
    assert watch.seconds == {breakdown.REST: 1.0 + 5.0, "whole": 2.0 + 4.0, "inner": 3.0}


@pytest.mark.slow
def test_breakdown_draws_every_part(tmp_path):
    command = [
        sys.executable,
        BENCHMARKS / "breakdown.py",
        "--epochs",
        "9",
        "--max-iterations",
        "9",
        "--output",
        tmp_path,
    ]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads((tmp_path / "breakdown.json").read_text())
    parts = {"training steps", "augmentation", "assigning all rows", "first clusters", "checkpoints", "scores"}
    assert parts < set(found["seconds"])
    assert all(f"| {part} | {found['seconds'][part]:.1f} |" in printed for part in parts)
    assert found["acc"] > 0.3
    assert (tmp_path / "breakdown.png").stat().st_size > 5000


@pytest.mark.skipif(keras.config.backend() == "torch", reason="a step a call")
def test_loop_compares_with_that_of_keras(capsys):
    load(BENCHMARKS / "loop.py").main(["--steps", "3", "--turns", "1"])
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"{keras.config.backend()}, milliseconds of a step"
    assert len(lines) == 6
    contestants = [line.split(", ", 1)[1].split(":")[0] for line in lines]
    assert contestants == 2 * ["deckeras", "Keras, 1 steps a call", "Keras, 20 steps a call"]


def test_variants_compare_with_the_default(tmp_path, blobs, capsys, monkeypatch):
    """By a table of rows in three groups, with a recipe of a few batches."""
    variants, x, y = load(BENCHMARKS / "variants.py"), *blobs
    np.savez(tmp_path / "groups.npz", x=x, y=y)
    get, found = recipes.get, []
    short = {"max_iterations": 20, "init": "kmeans", "units": (8, 4)}

    def shortened(recipe, **changes):
        found.append(changes)
        return get(recipe, **{**changes, **short})

    monkeypatch.setattr(recipes, "get", shortened)
    monkeypatch.setitem(variants.VARIANTS, "narrow", variants.change((16, 4)))
    options = [str(tmp_path), "--cells", str(tmp_path / "cells.csv"), "--variants"]
    names = ["default", "twice the batches", "narrow"]
    variants.main([*options, *names])
    fewest = get("table").min_pretraining_iterations
    assert {"units": (16, 4), "min_pretraining_iterations": fewest} in found
    assert {"units": None, "min_pretraining_iterations": 2 * fewest} in found
    cells = pandas.read_csv(tmp_path / "cells.csv")
    assert cells.variant.tolist() == names
    assert cells.data.tolist() == 3 * ["groups"]
    assert "| narrow " in capsys.readouterr().out
    variants.main([*options, "narrow"])  # which is there
    assert len(pandas.read_csv(tmp_path / "cells.csv")) == 3


def test_units_that_are_off_are_counted_with_and_without_the_mean(tmp_path, capsys, monkeypatch):
    """By images near one image, whose mean turns off units; a table is left out."""
    units, random = load(BENCHMARKS / "units.py"), np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    faces = random.uniform(0.3, 0.7, 64) + 0.05 * random.normal(size=(120, 3)) @ random.normal(size=(3, 64))
    faces[y == 1, :32] += 0.2
    np.savez(tmp_path / "faces.npz", x=faces, y=y, image_shape=(8, 8))
    np.savez(tmp_path / "table.npz", x=faces, y=y)
    get = recipes.get
    short = {"units": (64, 16, 4), "epochs": 1, "min_pretraining_iterations": 200, "shift": 0.0, "rotation": 0.0}
    monkeypatch.setattr(recipes, "get", lambda recipe, **changes: get(recipe, **{**changes, **short}))
    options = [str(tmp_path), "--cells", str(tmp_path / "cells.csv")]
    units.main(options)
    cells = pandas.read_csv(tmp_path / "cells.csv").set_index("centered")
    assert cells.data.tolist() == ["faces", "faces"]
    assert cells.loc[True, "layer 1"] < 0.05 < 0.2 < cells.loc[False, "layer 1"]
    assert cells.loc[True, "neighbors"] == 1
    assert [name for name in cells if name.startswith("layer")] == ["layer 1", "layer 2"]
    shown = capsys.readouterr().out
    assert "| faces  | True" in shown
    assert f"{cells.loss[True]:.4f} |" in shown
    units.main(options)  # which are there
    assert len(pandas.read_csv(tmp_path / "cells.csv")) == 2


def test_verdicts_are_held_against_the_classes(tmp_path, blobs, capsys, monkeypatch):
    """By three groups, and by rows without any, whose verdict must be worse."""
    verdicts, x, y = load(BENCHMARKS / "verdicts.py"), *blobs
    np.savez(tmp_path / "groups.npz", x=x, y=y)
    np.savez(tmp_path / "even.npz", x=np.random.default_rng(0).normal(size=x.shape), y=y)
    get = recipes.get
    short = {
        "units": (16, 4),
        "epochs": 1,
        "min_pretraining_iterations": 800,
        "max_iterations": 40,
        "init": "mixture",
        "n_init": 1,
    }
    monkeypatch.setattr(recipes, "get", lambda recipe, **changes: get(recipe, **{**changes, **short}))
    options = [str(tmp_path), "--cells", str(tmp_path / "cells.csv")]
    verdicts.main(options)
    cells = pandas.read_csv(tmp_path / "cells.csv").set_index("data")
    assert cells.agreement["groups"] > 0.9 > cells.agreement["even"]
    assert cells.nmi["groups"] > 0.9 > cells.nmi["even"]
    assert cells.level.to_dict() == {"groups": "steady", "even": "none"}
    printed = capsys.readouterr().out
    assert "agreement and NMI: 1.00" in printed
    assert printed.index("| groups ") < printed.index("| even ")
    verdicts.main(options)  # which are there
    assert len(pandas.read_csv(tmp_path / "cells.csv")) == 2


def _cells(line):
    return [cell.strip(" *") for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(("cells", "columns"), [("field.csv", range(1, 10)), ("few_rows.csv", [2, 3, 4, 7, 8, 9])])
def test_the_figures_of_the_field_are_those_of_its_cells(cells, columns):
    """A table that is printed anew, or a page that was forgotten, would show other figures than the CSV."""
    field = load(BENCHMARKS / "field.py")
    written = [_cells(line) for line in (BENCHMARKS / "README.md").read_text().splitlines() if line.startswith("|")]
    for line in [_cells(line) for line in field.table(pandas.read_csv(BENCHMARKS / cells))][2:]:
        figures = [line[column] for column in columns]
        if line[0].startswith("clustpy"):
            figures[-1] = ""  # one seed has no spread
        assert figures in [row[1:] for row in written]


def test_the_figures_of_the_verdict_are_those_of_its_cells():
    cells, pages = pandas.read_csv(BENCHMARKS / "verdicts.csv"), BENCHMARKS.parent / "docs" / "howto"
    written = (BENCHMARKS / "README.md").read_text()
    for row in cells.itertuples():
        scores = " | ".join(f"{100 * value:.1f}" for value in (row.nmi, row.start_nmi, row.kmeans_nmi))
        cuts = " | ".join(f"{100 * value:.1f}" for value in (row.cut, row.kmeans_cut, row.null_cut, row.unsure))
        assert f"| `{row.data}` | {row.level} | {scores} | {row.agreement:.2f} | {cuts} |" in written
    found = load(BENCHMARKS / "verdicts.py").correlations(cells)
    first, second = found["agreement and NMI"], found["agreement and ARI"]
    assert f"is {first:.2f} between agreement and NMI, {second:.2f} between agreement and ARI" in written
    assert f"agreement and NMI is {first:.2f}." in (pages / "trust.md").read_text()
    assert f"NMI is {100 * cells.nmi.mean():.1f} % on the mean" in written


def test_other_pages_show_the_figures_of_the_field():
    cells = pandas.read_csv(BENCHMARKS / "field.csv")
    ours = next(_cells(line) for line in load(BENCHMARKS / "field.py").table(cells) if line.startswith("| deckeras"))
    readme = (BENCHMARKS.parent / "README.md").read_text()
    assert f"| **{ours[2]}** | **{ours[3]}** | **{float(ours[6]):.1f}** |" in readme
    features = 100 * cells[(cells["data"] == "imagenet50_moco_val") & (cells["method"] == "deckeras")]["acc"]
    page = (BENCHMARKS.parent / "docs" / "howto" / "photographs.md").read_text()
    assert f"| DEC | {features.mean():.2f} ± {features.std(ddof=0):.2f} |" in page


def test_the_field_scores_the_rows_that_each_seed_draws(tmp_path, blobs, capsys, monkeypatch):
    field = load(BENCHMARKS / "field.py")
    x, y = blobs
    np.savez(tmp_path / "blobs.npz", x=x, y=y)
    seen = []

    def constant(data, seed):
        seen.append((seed, data.x))
        return np.zeros(len(data.x), int), 60.0

    monkeypatch.setattr(field, "METHODS", {"k-means": field.kmeans, "constant": constant})
    monkeypatch.setattr(field, "DEFAULT", ["k-means", "constant"])
    cells = tmp_path / "few.csv"
    arguments = [str(tmp_path), "--rows", "40", "--seeds", "2", "--cells", str(cells)]
    arguments += ["--embeddings", str(tmp_path / "embeddings")]
    field.main(arguments)
    found = pandas.read_csv(cells).set_index(["method", "seed"])
    assert found["rows"].tolist() == [40] * 4
    assert found.loc["k-means", "nmi"].tolist() == [1.0, 1.0]
    assert found.loc["constant", "nmi"].tolist() == [0.0, 0.0]
    assert (found.loc["constant", "minutes"] >= 1.0).all()
    (first, rows), (second, others) = seen
    assert (first, second) == (0, 1)
    assert not np.array_equal(rows, others)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    by_method = {line[0]: line for line in lines}
    assert by_method["k-means"][1:8] == ["2", "100.0", "100.0", "100.0", "1.00", "1.00", "1 of 1"]
    assert by_method["constant"][8] == "100.0"

    field.main(arguments)  # Nothing is computed twice.
    assert len(seen) == 2
