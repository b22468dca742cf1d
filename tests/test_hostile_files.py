"""Untrusted or damaged files: no code is run, nothing outside is read, and nothing wrong is loaded."""

import io
import json
import os
import shutil
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pandas
import pytest

import deckeras
from deckeras import DEC, cli, dense_autoencoder, load_dec_keras_weights, runs
from deckeras._train.checkpoint import Checkpoint
from deckeras.models import saved

FLIPS = 12


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run, of which each test takes a copy."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    table = pandas.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), columns=list("abcd"))
    table.to_csv(folder.parent / "rows.csv", index=False)
    options = ["-k", "2", "--epochs", "1", "--max-iter", "2", "-q", "--no-report", "-o", str(folder)]
    with warnings.catch_warnings(action="ignore"):
        assert cli.main(["fit", str(folder.parent / "rows.csv"), *options]) == 0
    return folder


@pytest.fixture
def run(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "run")


def model_with_code(trace):
    """A model that writes the file `trace` whenever its code is run."""

    def spy(x):
        open(trace, "w").close()
        return x

    layers = [keras.Input((4,)), keras.layers.Lambda(lambda x: spy(x)), keras.layers.Dense(2)]
    return DEC(keras.Sequential(layers), 2)


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "code was run"


@pytest.mark.parametrize("command", ["predict", "report", "evaluate"])
def test_commands_run_no_code_of_a_model(command, run, trace, capsys):
    model_with_code(trace).save(run / "model.keras")
    trace.unlink()
    rows = run.parent / "rows.csv"
    pandas.DataFrame(np.zeros((3, 4)), columns=list("abcd")).assign(y=1).to_csv(rows, index=False)
    assert cli.main([command, str(run), str(rows), *(["--labels", "y"] if command == "evaluate" else [])]) == 1
    assert "no code of its own" in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize("load", [runs.load, saved.load, keras.models.load_model])
@pytest.mark.parametrize("extension", ["keras", "h5"])
def test_loading_runs_no_code(load, extension, run, trace):
    path = run / f"model.{extension}"
    model_with_code(trace).save(path)
    trace.unlink()
    if extension == "h5" and load is runs.load:  # Its name says what it is to be.
        shutil.move(path, run / "model.keras")
    with pytest.raises((ValueError, OSError), match="code|not a .keras file"):
        load(run if load is runs.load else path)
    assert not trace.exists()


def test_weights_of_dec_keras_run_no_code(trace, tmp_path):
    model_with_code(trace).save(tmp_path / "model.h5")
    trace.unlink()
    with pytest.raises(ValueError, match="weights of the layers"):
        load_dec_keras_weights(tmp_path / "model.h5", dense_autoencoder(4, units=(3, 2))[0])
    assert not trace.exists()


def outside(path, shape):
    with h5py.File(path, "w") as file:
        file["secret"] = np.full(shape, 42.0, "float32")
    return path


def external_link(group, name, tmp_path):
    shape = group[name].shape
    del group[name]
    group[name] = h5py.ExternalLink(str(outside(tmp_path / "secret.h5", shape)), "secret")


def soft_link(group, name, tmp_path):
    del group[name]
    group[name] = h5py.SoftLink("/elsewhere")


def external_values(group, name, tmp_path):
    shape = group[name].shape
    (tmp_path / "raw").write_bytes(np.full(shape, 42.0, "float32").tobytes())
    del group[name]
    group.create_dataset(name, shape, "float32", external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)])


def virtual_values(group, name, tmp_path):
    shape = group[name].shape
    layout = h5py.VirtualLayout(shape, "float32")
    layout[:] = h5py.VirtualSource(str(outside(tmp_path / "secret.h5", shape)), "secret", shape)
    del group[name]
    group.create_virtual_dataset(name, layout)


def terabytes(group, name, tmp_path):
    del group[name]
    group.create_dataset(name, (2**20, 2**20), "float32", chunks=(64, 64), compression="gzip")


SPOILS = [external_link, soft_link, external_values, virtual_values, terabytes]


def spoil_first(path, spoil, tmp_path):
    """Spoil the first kernel of a file, and return its shape."""
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if getattr(item, "ndim", 0) == 2 else None)
        group, _, name = found[0].rpartition("/")
        spoil(file[group or "/"], name, tmp_path)


@pytest.mark.parametrize("spoil", SPOILS)
def test_weights_of_dec_keras_lie_in_their_file(spoil, tmp_path, write_keras_2):
    encoder, _ = dense_autoencoder(4, units=(3, 2))
    layers = {
        layer.name: dict(zip(["kernel:0", "bias:0"], layer.get_weights(), strict=True)) for layer in encoder.layers
    }
    path = write_keras_2(tmp_path / "w.h5", layers)
    spoil_first(path, spoil, tmp_path)
    before = encoder.get_weights()
    with pytest.raises(ValueError, match=r"w\.h5'.*(elsewhere|another file|promises)"):
        load_dec_keras_weights(path, encoder)
    for found, expected in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("spoil", SPOILS)
def test_weights_of_a_model_lie_in_its_file(spoil, run, tmp_path):
    def change(content):
        path = tmp_path / "weights.h5"
        path.write_bytes(content)
        spoil_first(path, spoil, tmp_path)
        return path.read_bytes()

    rewrite(run / "model.keras", "model.weights.h5", change)
    with pytest.raises(ValueError, match=r"model\.keras'.*(elsewhere|another file|promises)"):
        runs.load(run)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_checkpoint_holds_its_values_itself(spoil, tmp_path):
    path, checkpoint = small_checkpoint(tmp_path)
    spoil_first(path, spoil, tmp_path)
    with h5py.File(path, "r+") as file:  # as one without a checksum, which anybody can write
        file.attrs["deckeras_checkpoint"] = 4
    with open(path, "rb+") as file:
        file.write(bytes(512))
    with pytest.raises(OSError, match=r"a\.h5' .*(elsewhere|another file|promises)"):
        checkpoint.restore()


def rewrite(path, name, change, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def test_an_archive_that_promises_too_much(run):
    rewrite(run / "model.keras", "metadata.json", lambda _: bytes(2**27), zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="promises 134,217,728 bytes"):
        runs.load(run)


def test_a_config_that_promises_too_much(run):
    def change(content):
        config = json.loads(content)
        (layer,) = [each for each in nested(config) if each.get("name") == "encoder_0"]
        layer["units"] = 10**12
        return json.dumps(config).encode()

    rewrite(run / "model.keras", "config.json", change)
    with pytest.raises(ValueError, match="1,000,000,000,000 units"):
        runs.load(run)


def nested(config):
    if isinstance(config, dict):
        yield config
    if isinstance(config, dict | list):
        for item in config.values() if isinstance(config, dict) else config:
            yield from nested(item)


def small_checkpoint(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    checkpoint = Checkpoint(tmp_path / "a.h5", model, {"n": 1})
    checkpoint.save({"iteration": 1})
    return tmp_path / "a.h5", checkpoint


def flips(content):
    """The content with one bit changed, at its ends and at random places."""
    places = np.random.default_rng(0)
    for place in [0, 20, 511, 512, len(content) - 1, *places.integers(len(content), size=FLIPS)]:
        changed = bytearray(content)
        changed[place] ^= 1 << int(places.integers(8))
        yield bytes(changed)


def test_a_flipped_bit_of_a_checkpoint_is_noticed(tmp_path):
    path, checkpoint = small_checkpoint(tmp_path)
    for changed in flips(path.read_bytes()):
        path.write_bytes(changed)
        with pytest.raises(OSError, match=r"a\.h5' is truncated, damaged"):
            checkpoint.restore()


def test_a_flipped_bit_of_a_model_is_noticed(run):
    """Or it changes nothing, as in the dates of an archive."""
    messages, expected = [], runs.load(run)[1].get_weights()
    for changed in flips((run / "model.keras").read_bytes()):
        (run / "model.keras").write_bytes(changed)
        try:
            found = runs.load(run)[1].get_weights()
        except (OSError, ValueError) as error:
            messages.append(str(error))
        else:
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
    assert len(messages) > FLIPS / 2
    assert all("model.keras'" in message for message in messages)


@pytest.mark.parametrize("kind", ["pipe", "directory", "text", "empty"])
def test_what_is_no_model(kind, run):
    path = run / "model.keras"
    path.unlink()
    make = {"pipe": os.mkfifo, "directory": os.mkdir, "text": lambda p: p.write_text("a"), "empty": lambda p: p.touch()}
    make[kind](path)
    with pytest.raises(OSError, match=r"model\.keras' (should be a file|is truncated, damaged)"):
        runs.load(run)


@pytest.mark.parametrize("content", ["", "{", "[]", "1", '{"finished": false}'])
def test_what_is_no_run(content, run):
    (run / "run.json").write_text(content)
    with pytest.raises(OSError, match=r"run\.json' is truncated|has not finished"):
        runs.load(run)


def test_run_json_writes_nothing_outside_of_its_folder(run, tmp_path, monkeypatch):
    """It may name files elsewhere, but only its data is read, and the model is that in the folder."""
    record = json.loads((run / "run.json").read_text())
    names = ("model", "report", "clusters", "output", "folder", "title")
    record |= dict.fromkeys(names, str(tmp_path / "outside")) | {"checkpoint_dir": "../../outside"}
    (run / "run.json").write_text(json.dumps(record))
    before = set(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", str(run), "-q"]) == 0
    assert set(tmp_path.rglob("*")) - before == {run / "report.html"}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1+cmd", "'+1+cmd"),
        ("-2-3", "'-2-3"),
        ("\t=1", "'\t=1"),
        ("-2.5", "-2.5"),
        ("+1e-3", "+1e-3"),
        ("a=b", "a=b"),
    ],
)
def test_spreadsheets_compute_nothing_in_clusters(name, written, tmp_path):
    rows = deckeras.files.Rows(np.zeros((1, 2)), np.array([name], object), None, None, None, [])
    runs.write_clusters(tmp_path / "clusters.csv", rows, np.array([[0.25, 0.75]]))
    found = pandas.read_csv(io.StringIO((tmp_path / "clusters.csv").read_text()), dtype=str)
    assert found["name"].tolist() == [written]
