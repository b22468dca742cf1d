"""The script behind the README's results."""

import importlib.util
import json
import pathlib

import pytest

SCRIPT = pathlib.Path(__file__).parent.parent / "benchmarks" / "results.py"


@pytest.fixture
def results():
    spec = importlib.util.spec_from_file_location("results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def summary(acc, pretrain):
    scores = {"acc": acc, "nmi": 0.5, "ari": 0.25}
    seconds = {"pretrain": pretrain, "cluster": 30}
    return {"dataset": "digits", "n_samples": 1797, "seconds": seconds, "scores": {"k-means": scores, "dec": scores}}


def test_runs_each_seed_and_prints_mean_and_standard_deviation(results, tmp_path, monkeypatch, capsys):
    commands = []

    def run(command, check):
        commands.append([str(word) for word in command[1:]])
        output = tmp_path / f"digits-{len(commands) - 1}"
        output.mkdir()
        (output / "summary.json").write_text(json.dumps(summary([0.7, 0.9][len(commands) - 1], 60 * len(commands))))

    monkeypatch.setattr(results.subprocess, "run", run)
    results.main(["--seeds", "2", "--data", "x.npz", "--output", str(tmp_path)])
    example = str(SCRIPT.parent.parent / "examples" / "run_mnist.py")
    assert len(commands) == 2
    for seed, command in enumerate(commands):
        output = str(tmp_path / f"digits-{seed}")
        options = ["--dataset", "digits", "--seed", str(seed), "--output", output, "--data", "x.npz"]
        assert command == [example, *options]
    lines = capsys.readouterr().out.splitlines()
    assert "| k-means | 80.00 ± 10.00 | 50.00 ± 0.00 | 25.00 ± 0.00 |" in lines
    assert lines[-1] == (
        "digits, 1,797 rows, mean ± standard deviation over 2 seeds; "
        "a run takes 1.5 min of pretraining and 0.5 min of clustering"
    )
