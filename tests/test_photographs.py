"""Photographs in a folder, from the command to the whole model: of any size, streamed, resumed, predicted again."""

import json
import os
import pathlib
import tracemalloc

import keras
import numpy as np
import pandas
import pytest
from PIL import Image

from deckeras import cli, files
from deckeras.features import computing
from deckeras.files import photographs, pixels

QUICK = ["--epochs", "1", "--max-iter", "20"]
COLORS = {"red": (190, 40, 40), "green": (40, 170, 40), "blue": (50, 60, 200)}
pytestmark = [
    pytest.mark.usefixtures("eagerly"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config", "ignore:.*clusters came out"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder `photos` of 36 photographs of different sizes, in folders by color, and a small network in a file."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            height, width = random.integers(40, 120, 2)
            noise = random.normal(scale=20, size=(height, width, 1)) + np.array(color)
            image = Image.fromarray(noise.clip(0, 255).astype("uint8"))
            image.save(tmp_path / "photos" / name / f"{number:02d}.jpg")
    keras.utils.set_random_seed(0)
    layers = [keras.Input((48, 48, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(6, 5, strides=4)]
    keras.Sequential(layers).save("network.keras")
    return tmp_path / "photos"


def run(*arguments):
    assert cli.main(list(arguments)) == 0


def fails(capsys, *arguments):
    assert cli.main(list(arguments)) == 1
    return capsys.readouterr().err


FIT = ["fit", "photos", "-k", "3", "--features", "network.keras", *QUICK]


def test_rows_are_read_when_they_are_needed(folder):
    rows = photographs.read("photos", (48, 32), folder_labels=True)
    assert rows.x.shape == (36, 48, 32, 3)
    assert rows.names[0] == "blue/00.jpg"
    assert rows.labels.tolist() == ["blue"] * 12 + ["green"] * 12 + ["red"] * 12
    one = pixels.load(folder / "green" / "03.jpg", (48, 32, 3), fast=True)
    np.testing.assert_array_equal(rows.x[15], one)
    np.testing.assert_array_equal(rows.x[[3, 15, -1, 15]][1::2], [one, one])
    assert sorted(rows.x.order(np.random.default_rng(0)).tolist()) == list(range(36))


def test_photographs_outside_of_folders_have_no_class(folder):
    os.rename(folder / "red" / "00.jpg", folder / "alone.jpg")
    os.mkdir(folder / "red" / "deep")
    os.rename(folder / "red" / "01.jpg", folder / "red" / "deep" / "01.jpg")
    rows = photographs.read("photos", (48, 32), folder_labels=True)
    plain = files.read("photos", folder_labels=True, image_size=8)
    assert rows.labels.tolist() == plain.labels.tolist()
    assert set(rows.labels) == {None, "blue", "green", "red", "red/deep"}
    for notice in "1 of 36 rows have no label", "subfolders of subfolders":
        assert notice in " ".join(rows.notices)


def test_content_is_that_of_the_files(folder):
    content = photographs.read("photos", (48, 48)).x.content()
    os.rename(folder / "red" / "00.jpg", folder / "red" / "0 renamed.jpg")
    assert photographs.read("photos", (48, 48)).x.content() == content
    assert photographs.read("photos", (32, 32)).x.content() != content
    Image.new("RGB", (50, 50)).save(folder / "red" / "05.jpg")
    assert photographs.read("photos", (48, 48)).x.content() != content


def test_memory_is_that_of_a_batch(folder):
    for number in range(300):
        os.link(folder / "red" / "00.jpg", folder / f"{number}.jpg")
    x = photographs.read("photos", (224, 224)).x  # 51 MB
    tracemalloc.start()
    for start in range(0, len(x), 16):
        assert x[start : start + 16].mean() > 0
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("orientation", [1, 6])
def test_fast_decoding_differs_little(folder, orientation):
    x, y = np.meshgrid(np.linspace(0, 6, 900), np.linspace(0, 6, 600))
    image = Image.fromarray(np.uint8(127 + 60 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], axis=2)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save("large.jpg", quality=95, exif=exif)
    slow, fast = (pixels.load("large.jpg", (60, 60, 3), fast=fast).astype(int) for fast in (False, True))
    assert np.abs(slow - fast).max() <= 3


def test_broken_photographs(folder, capsys):
    whole = (folder / "red" / "00.jpg").read_bytes()
    (folder / "red" / "00.jpg").write_bytes(whole[: len(whole) // 2])
    assert "00.jpg' cannot be read as an image" in fails(capsys, *FIT, "-q")
    rows = photographs.read("photos", (48, 48), skip_broken=True)
    assert len(rows.names) == 35
    assert any("red/00.jpg" in notice for notice in rows.notices)


def test_fit_and_predict_from_the_one_file(folder, capsys):
    run(*FIT, "--folder-labels", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["scores"]["acc"] == 1
    files = set(os.listdir("photos-clusters"))
    assert {"model.keras", "report.html", "clusters.csv"} <= files
    assert sum(name.startswith("features-") for name in files) == 1
    clusters = pandas.read_csv("photos-clusters/clusters.csv")
    os.makedirs("elsewhere")
    os.rename("photos-clusters/model.keras", "elsewhere/only.keras")
    run("predict", "elsewhere/only.keras", "photos/green", "-o", "new.csv", "-q")
    new = pandas.read_csv("new.csv")
    assert new.name.tolist() == [f"{number:02d}.jpg" for number in range(12)]
    np.testing.assert_array_equal(new.cluster, clusters.cluster[12:24])
    os.rename("elsewhere/only.keras", "photos-clusters/model.keras")
    run("evaluate", "photos-clusters", "photos", "--json")
    assert json.loads(capsys.readouterr().out)["acc"] == 1


def test_the_report_has_contact_sheets(folder):
    run(*FIT, "-q")
    page = pathlib.Path("photos-clusters/report.html").read_text()
    assert page.count('<div class="sheet"') == 3
    assert page.count('<img class="photograph" loading="lazy"') == 36
    assert 'alt="green/03.jpg"' in page
    os.remove("photos-clusters/report.html")
    run("report", "photos-clusters", "-q")
    again = pathlib.Path("photos-clusters/report.html").read_text()
    assert again.count('<img class="photograph" loading="lazy"') == 36
    assert "data:image/jpeg" in again


def test_an_interrupted_run_is_resumed(folder, capsys, monkeypatch):
    monkeypatch.setattr(computing.row_views, "predict_batch_size", lambda _: 8)
    run(*FIT, "-q", "-o", "whole")
    usual = computing._batch

    def interrupt(x, start, size):
        if start >= 24:
            raise KeyboardInterrupt
        return usual(x, start, size)

    monkeypatch.setattr(computing, "_batch", interrupt)
    assert cli.main([*FIT, "-o", "cut"]) == 130
    error = capsys.readouterr().err
    assert "--resume" in error
    assert [name[-5:] for name in os.listdir("cut") if name.startswith("features")] == [".part"]
    starts = []
    monkeypatch.setattr(computing, "_batch", lambda x, start, size: starts.append(start) or usual(x, start, size))
    run(*FIT, "-q", "-o", "cut", "--resume")
    assert starts == [16, 24, 32]
    for name in ("clusters.csv", "centroids.csv"):
        assert pathlib.Path("cut", name).read_text() == pathlib.Path("whole", name).read_text()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["photos", "-k", "3", "--weights", "a.h5"], "--weights needs a network"),
        (["photos", "-k", "3", "--features", "network.keras", "--image-size", "32"], "--image-size does not apply"),
        (["photos", "-k", "3", "--features", "network.keras", "--labels", "kind"], "--labels does not apply"),
        (["photos", "-k", "99", "--features", "network.keras"], "n_clusters should be from 1"),
        (["photos", "-k", "3", "--features", "EficientNetV2B0"], "Did you mean EfficientNetV2B0"),
        (["rows.npy", "-k", "3", "--features", "network.keras"], "folder of images, an array of them, or"),
        (["nowhere", "-k", "3", "--features", "network.keras"], "no file or folder 'nowhere'"),
    ],
)
def test_refused_commands(capsys, arguments, match):
    np.save("rows.npy", np.zeros((5, 4)))
    assert match in fails(capsys, "fit", *arguments)
    assert not [name for name in os.listdir() if name.endswith("-clusters")]


def test_an_array_of_pictures(folder, capsys):
    x = photographs.read("photos", (20, 30)).x[:]
    np.save("pictures.npy", x)
    run("fit", "pictures.npy", "-k", "3", "--features", "network.keras", *QUICK, "-q")
    run("predict", "pictures-clusters", "pictures.npy", "-o", "new.csv", "-q")
    old, new = pandas.read_csv("pictures-clusters/clusters.csv"), pandas.read_csv("new.csv")
    np.testing.assert_array_equal(old.cluster, new.cluster)
