"""Texts in a column of a table: their words become the features, and new texts are read in the same way."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pandas
import pytest

from deckeras import cli, files
from deckeras.files import documents

TEXTS = pandas.read_csv(pathlib.Path(__file__).parent / "files" / "texts.csv")
SUBJECTS = TEXTS.groupby("subject").words.apply(list).to_dict()
FRAME = TEXTS.assign(name=[f"text {n}" for n in range(len(TEXTS))], number=np.arange(len(TEXTS)) // 4)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("texts.csv", index=False)


def tf_idf(texts, known):
    """TF-IDF by its formula, of the terms that are in two of the known texts or more, and in half of them at most."""
    words = [re.findall(r"\w\w+", text.lower()) for text in known]
    counts = {word: sum(word in each for each in words) for word in sorted({word for each in words for word in each})}
    counts = {word: count for word, count in counts.items() if 2 <= count <= len(known) / 2}
    idf = np.log((1 + len(known)) / (1 + np.array([*counts.values()]))) + 1
    new = [re.findall(r"\w\w+", text.lower()) for text in texts]
    rows = np.array([[each.count(word) for word in counts] for each in new]) * idf
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return list(counts), np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
def test_features_are_the_tf_idf_of_the_texts(extension):
    name = f"texts.{extension}"
    if extension == "parquet":
        pytest.importorskip("pyarrow")
        FRAME.to_parquet(name)
    elif extension == "xlsx":
        pytest.importorskip("openpyxl")
        pytest.importorskip("python_calamine")
        FRAME.to_excel(name, index=False)
    elif extension == "jsonl":
        FRAME.to_json(name, orient="records", lines=True)
    else:
        FRAME.to_csv(name, index=False, sep="\t" if extension == "tsv" else ",")
    rows = files.read(name, text="words", names="name", labels="subject")
    terms, expected = tf_idf(FRAME.words, FRAME.words)
    assert "the" not in terms  # which is in more than half of them
    assert rows.features == terms
    np.testing.assert_allclose(rows.x.toarray(), expected, atol=1e-12)
    assert rows.names.tolist() == FRAME.name.tolist()
    assert rows.labels.tolist() == FRAME.subject.tolist()
    assert rows.texts == FRAME.words.tolist()
    assert f'the features are {len(terms)} terms of "words"' in rows.notices
    assert 'left out beside the text: "number"' in rows.notices


def test_new_texts_are_read_as_the_first_ones():
    layout = files.read("texts.csv", text="words").layout
    layout = files.Layout(**json.loads(json.dumps(vars(layout))))  # as run.json keeps it
    new = ["the bank and the match", "nothing known", None, "soup soup bread"]
    pandas.DataFrame({"words": new}).to_csv("new.csv", index=False)
    rows = files.read_like("new.csv", layout)
    expected = tf_idf([text or "" for text in new], FRAME.words)[1]
    np.testing.assert_allclose(rows.x.toarray(), expected, atol=1e-12)
    assert rows.notices[-1] == "2 of 4 texts have none of the terms, so all their features are 0"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"text": "speech"}, "There is no column 'speech'"),
        ({"text": "number"}, "a column of texts. Received: 'number', which has values such as"),
        ({"text": "words", "names": "words"}, "--text makes features of a column.*Received: 'words' for both"),
        ({"text": "name"}, "words that are in two texts or more.* Received: none in 12 texts"),
        ({"text": "words", "one_hot": ["subject"]}, "--one-hot does not apply with --text"),
        ({"text": "words", "missing": "drop", "drop": ["number"]}, "--drop, --missing does not apply with --text"),
    ],
)
def test_what_is_no_text_is_refused(options, expected):
    with pytest.raises(ValueError, match=expected):
        files.read("texts.csv", **options)


def test_text_needs_a_table():
    np.save("rows.npy", np.zeros((9, 3)))
    with pytest.raises(ValueError, match="--text does not apply to an array"):
        files.read("rows.npy", text="words")


def test_a_table_with_texts_is_refused_with_the_option():
    with pytest.raises(ValueError, match='column "words" holds text.*--text "words" to cluster the rows by its words'):
        files.read("texts.csv")


def test_most_frequent_terms_are_kept():
    rare = [f"rare{n}" for n in range(documents.MAX_TERMS)]
    texts = [f"often {word}" for word in rare + rare] + 3 * [" ".join(rare[:5])] + 9000 * ["filler"]
    terms = documents.learn("a.csv", texts)
    assert len(terms) == documents.MAX_TERMS
    assert {"often", *rare[:5]} <= set(terms)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:.*clusters came out", "ignore:The centroids of these pairs")
@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
def test_the_command_clusters_texts_and_shows_them(capsys):
    texts = pandas.concat([FRAME] * 6)
    texts["name"] = [f"text {n}" for n in range(len(texts))]
    texts.to_csv("texts.csv", index=False)
    command = ["fit", "texts.csv", "-k", "3", "--text", "words", "--names", "name", "--labels", "subject"]
    assert cli.main([*command, "--epochs", "20", "--max-iter", "60"]) == 0
    printed = capsys.readouterr()
    assert "texts.csv: 72 texts of " in printed.out
    assert "ACC 100.00 %" in printed.out
    page = pathlib.Path("texts-clusters/report.html").read_text(encoding="utf-8")
    assert "distinguishing terms" in page
    described = [words.split(", ") for words in re.findall(r'<td class="words">([^<]*)</td>', page)[:3]]
    own = {subject: set(" ".join(texts).split()) for subject, texts in SUBJECTS.items()}
    assert {subject for subject, words in own.items() if any(set(terms[:3]) <= words for terms in described)} == set(
        own
    )
    assert "salt and pepper in the soup" in page

    new = {"words": ["a goal for the team", "shares of a bank", "soup with bread"], "name": list("abc")}
    pandas.DataFrame(new).to_csv("new.csv")
    found = subprocess.run(
        [sys.executable, "-m", "deckeras", "predict", "texts-clusters", "new.csv", "--json"],
        capture_output=True,
        check=True,
        text=True,
        env=os.environ,
    )
    assert found.returncode == 0, found.stderr
    clusters = pandas.read_csv("texts-clusters/clusters.csv").cluster.to_numpy()
    of_subjects = [int(clusters[texts.subject.to_numpy() == subject][0]) for subject in ("ball", "bank", "soup")]
    assert json.loads(found.stdout)["clusters"] == of_subjects
