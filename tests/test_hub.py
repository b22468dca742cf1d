"""Networks of KerasHub, with random weights in a local folder: nothing is downloaded."""

import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pandas
import pytest

from deckeras import DEC, DeepEmbeddedClustering, cli, dense_autoencoder, features
from deckeras.features import computing, texts

keras_hub = pytest.importorskip("keras_hub", reason='presets need keras-hub: pip install -e ".[hub]"')

pytestmark = [
    pytest.mark.usefixtures("eagerly"),
    pytest.mark.filterwarnings("ignore:No row was assigned", "ignore:The centroids of these pairs"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config"),
]
SIZES = {"patch_size": 8, "hidden_dim": 12, "num_layers": 1, "num_heads": 2, "intermediate_dim": 16}


@pytest.fixture
def preset(tmp_path):
    """The folder of a tiny DINOv2 of pictures of 16 x 16, whose pixels are divided by 255."""
    keras.utils.set_random_seed(0)
    shapes = {"image_shape": (16, 16, 3), "position_embedding_shape": (16, 16, 3)}
    backbone = keras_hub.models.DINOV2Backbone(**SIZES, **shapes)
    backbone.save_to_preset(tmp_path / "preset")
    converter = keras_hub.layers.DINOV2ImageConverter(image_size=(16, 16), scale=1 / 255)
    converter.save_to_preset(tmp_path / "preset")
    return backbone, str(tmp_path / "preset")


def test_preset(preset, tmp_path):
    backbone, folder = preset
    network = features.network(folder)
    assert network.input_shape == (None, 16, 16, 3)
    x = np.random.default_rng(0).integers(256, size=(5, 16, 16, 3)).astype("float32")
    first_token = backbone.predict({"images": x / 255}, verbose=0)[:, 0]
    np.testing.assert_allclose(network.predict(x, verbose=0), first_token, rtol=1e-4, atol=1e-5)
    encoder, _ = dense_autoencoder(12, (6, 2))
    head = DEC(encoder, 3)
    head.centroids = np.random.default_rng(0).normal(size=(3, 2))
    whole = features.whole(network, head)
    whole.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), whole.predict(x, verbose=0), rtol=1e-5)


def test_text_encoders_are_refused_for_pictures(tmp_path):
    sizes = {"vocabulary_size": 20, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 8}
    keras_hub.models.BertBackbone(**sizes).save_to_preset(tmp_path / "bert")
    with pytest.raises(ValueError, match="A network should take pictures"):
        features.network(str(tmp_path / "bert"))


def test_missing_presets_name_the_folder():
    with pytest.raises((OSError, ValueError), match="save_to_preset"):
        features.network("no_such_preset_of_anybody")


TEXTS = pandas.read_csv(pathlib.Path(__file__).parent / "files" / "texts.csv")
SUBJECTS = TEXTS.groupby("subject").words.apply(list).to_dict()
FRAME = pandas.concat([TEXTS] * 5, ignore_index=True)
WORDS = sorted(set(" ".join(FRAME.words).split()))
FIT = ["fit", "texts.csv", "-k", "3", "--text", "words", "--features", "encoder", "--labels", "subject"]
QUICK = ["--epochs", "30", "--max-iter", "60"]


@pytest.fixture
def embedder(tmp_path, monkeypatch):
    """A tiny BERT that reads 12 tokens, also in the folder `encoder`, beside the table of texts."""
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("texts.csv", index=False)
    return write_encoder("encoder")


def write_encoder(folder, words=WORDS):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    tokenizer = keras_hub.tokenizers.BertTokenizer(vocabulary=vocabulary, lowercase=True)
    sizes = {"vocabulary_size": len(vocabulary), "num_layers": 1, "num_heads": 2, "max_sequence_length": 12}
    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.BertBackbone(hidden_dim=16, intermediate_dim=16, **sizes)
    found = next(weight for weight in backbone.weights if "token_embedding" in weight.path)
    weight = keras.ops.convert_to_numpy(found).copy()
    for row, word in enumerate(vocabulary):  # what a trained network would know: which words are about one subject
        about = [place for place, lines in enumerate(SUBJECTS.values()) if word in " ".join(lines).split()]
        if len(about) == 1:
            weight[row, about[0]] += 1
    found.assign(weight)
    preprocessor = keras_hub.models.BertTextEmbedderPreprocessor(tokenizer, sequence_length=12)
    embedder = keras_hub.models.BertTextEmbedder(backbone, preprocessor)
    embedder.save_to_preset(folder)
    return embedder


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("make", [lambda tokens: tokens, lambda tokens: tokens[:], lambda tokens: tokens[:].tolist()])
def test_estimator_of_tokens(embedder, make, train):
    """Rows of whole numbers are tokens, others the features of them."""
    network, tokenizer = texts.encoder("encoder")
    x = make(tokenizer(FRAME.words[:60]))
    options = {"features": network, "epochs": 5, "max_iter": 20, "random_state": 0}
    estimator = DeepEmbeddedClustering(3, **options).fit(x, train_features=train)
    np.testing.assert_array_equal(estimator.predict(x), estimator.labels_)
    np.testing.assert_array_equal(estimator.model_.predict_clusters(x, verbose=0), estimator.labels_)
    before, after = network.get_weights(), estimator.network_.get_weights()
    assert any(not np.array_equal(one, other) for one, other in zip(before, after, strict=True)) == train
    if not train:
        z = estimator.extract(x)
        np.testing.assert_array_equal(DeepEmbeddedClustering(3, **options).fit(z).labels_, estimator.labels_)
        with pytest.raises(ValueError, match="Received: features"):
            estimator.fit(z, train_features=True)


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (np.zeros((60, 8), int), "should take rows of 12 whole numbers.*shape .8,"),
        (np.zeros((60, 12)), "tokens, which are whole numbers.*of float64"),
        (np.zeros((60, 4, 4, 3)), "should take rows of 12 whole numbers"),
    ],
)
def test_rows_that_are_no_tokens(embedder, x, match):
    network, _ = texts.encoder("encoder")
    with pytest.raises(ValueError, match=match):
        DeepEmbeddedClustering(3, features=network).fit(x)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("rank", [None, 2])
def test_thawed_text_encoder(embedder, rank, tmp_path):
    network, tokenizer = texts.encoder("encoder")
    x = tokenizer(FRAME.words[:60])
    estimator = DeepEmbeddedClustering(3, features=network, epochs=5, max_iter=20, random_state=0).fit(x)
    before = network.get_weights()
    features.thaw(estimator.model_, x, lora_rank=rank, verbose=0)
    assert any(not np.array_equal(one, other) for one, other in zip(before, network.get_weights(), strict=True))
    estimator.model_.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(loaded.predict(x[:], verbose=0), estimator.model_.predict(x[:], verbose=0), rtol=1e-4)


LONG = "the team won the match and the bank sold the shares of the soup with salt"


def test_features_of_texts_are_those_of_the_embedder(embedder):
    network, tokenizer = texts.encoder("encoder", length=100)  # of which its network takes 12
    assert (network.input_shape, network.output_shape) == ((None, 12), (None, 16))
    assert not network.trainable_weights
    some = ["the team won", "Salt and PEPPER", LONG, "unknown words", ""]
    expected = embedder.encode_text(some, verbose=0)
    found = features.compute(network, tokenizer(some))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(features.compute(network, tokenizer(some)[:]), found)  # tokens in an array


def of_sentence_pieces():
    """An embedder of XLM-RoBERTa, as of many languages."""
    trainer = pytest.importorskip("sentencepiece").SentencePieceTrainer
    model = io.BytesIO()
    pieces = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "vocab_size": 50, "model_type": "BPE", "minloglevel": 2}
    trainer.train(sentence_iterator=iter(FRAME.words), model_writer=model, **pieces)
    tokenizer = keras_hub.tokenizers.XLMRobertaTokenizer(proto=model.getvalue())
    sizes = {"vocabulary_size": tokenizer.vocabulary_size(), "num_layers": 1, "num_heads": 2}
    backbone = keras_hub.models.XLMRobertaBackbone(hidden_dim=16, intermediate_dim=16, **sizes)
    preprocessor = keras_hub.models.XLMRobertaTextEmbedderPreprocessor(tokenizer, sequence_length=20)
    return keras_hub.models.XLMRobertaTextEmbedder(backbone, preprocessor)


def of_byte_pairs():
    """An embedder of Qwen3, a decoder whose last token is the vector of a text."""
    letters = ["<|endoftext|>", "<|im_end|>", *"abcdefghijklmnopqrstuvwxyzĠ", "Ġa"]
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    tokenizer = keras_hub.tokenizers.Qwen3Tokenizer(vocabulary=vocabulary, merges=["Ġ a"])
    sizes = {"vocabulary_size": len(vocabulary), "num_layers": 1, "num_query_heads": 2, "num_key_value_heads": 1}
    backbone = keras_hub.models.Qwen3Backbone(hidden_dim=16, intermediate_dim=16, head_dim=8, **sizes)
    preprocessor = keras_hub.models.Qwen3TextEmbedderPreprocessor(tokenizer, sequence_length=20)
    return keras_hub.models.Qwen3TextEmbedder(backbone, preprocessor)


@pytest.mark.parametrize("make", [of_sentence_pieces, of_byte_pairs])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # KerasHub leaves its files open.
def test_encoders_of_other_families(make, tmp_path):
    keras.utils.set_random_seed(0)
    embedder = make()
    embedder.save_to_preset(tmp_path / "encoder")
    network, tokenizer = texts.encoder(tmp_path / "encoder", length=20)
    some = ["the team won", "a", "a bank in the soup that needs more than twenty tokens"]
    # `encode_text` reads in a graph of TensorFlow, which tests that compile nothing do not have.
    expected = keras.Model(embedder.input, embedder.output).predict(embedder.preprocessor(some), verbose=0)
    np.testing.assert_allclose(features.compute(network, tokenizer(some)), expected, atol=1e-6)
    tokenizer.save(tmp_path / "saved")
    loaded = texts.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded(some)[:], tokenizer(some)[:])
    assert loaded.content() == tokenizer.content()


def test_tokens_are_made_when_they_are_read(embedder):
    tokens = texts.encoder("encoder")[1](["the team won", LONG, ""])
    team = [2, *(5 + WORDS.index(word) for word in ["the", "team", "won"]), 3]
    assert tokens.shape == (3, 12)
    assert tokens[0].tolist() == team + [-1] * (12 - len(team))
    assert tokens[1].min() >= 0
    np.testing.assert_array_equal(tokens[np.array([2, 0])], tokens[:][[2, 0]])
    np.testing.assert_array_equal(np.asarray(tokens), tokens[:])


def test_content_tells_texts_and_vocabularies_apart(embedder):
    tokenizer = texts.encoder("encoder")[1]
    write_encoder("other", [*WORDS, "tree"])
    made = [
        tokenizer(["a", "b"]),
        tokenizer(["ab", ""]),
        tokenizer(["b", "a"]),
        texts.encoder("encoder", length=5)[1](["a", "b"]),
        texts.encoder("other")[1](["a", "b"]),
    ]
    contents = [json.dumps(tokens.content()) for tokens in made]
    assert len(set(contents)) == len(made)
    tokenizer.save("saved")
    loaded = texts.load("saved")
    assert json.dumps(loaded(["a", "b"]).content()) == contents[0]
    np.testing.assert_array_equal(loaded([LONG])[:], tokenizer([LONG])[:])
    assert sum(path.stat().st_size for path in pathlib.Path("saved").rglob("*") if path.is_file()) < 20_000


def test_whole_model_takes_tokens(embedder, tmp_path):
    network, tokenizer = texts.encoder("encoder")
    x = features.compute(network, tokenizer(FRAME.words.tolist()))
    options = {"epochs": 30, "max_iter": 60, "random_state": 0, "verbose": 0}
    estimator = DeepEmbeddedClustering(3, features=network, **options).fit(x)
    tokens = tokenizer(FRAME.words.tolist())
    estimator.model_.save("whole.keras")
    loaded = keras.models.load_model("whole.keras")
    expected = estimator.predict_proba(x)
    np.testing.assert_allclose(loaded.predict(tokens, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(loaded.predict(tokens[:], verbose=0), expected, atol=1e-5)


@pytest.mark.usefixtures("whole_layouts")  # The start decides whether the clusters are the subjects.
def test_command_clusters_texts_by_an_encoder(embedder, capsys, monkeypatch):
    predicted = computing.compute
    calls = []

    def interrupted(*arguments, **options):
        calls.append(options["folder"])
        if len(calls) == 1:
            raise KeyboardInterrupt
        return predicted(*arguments, **options)

    monkeypatch.setattr(features, "compute", interrupted)
    assert cli.main([*FIT, *QUICK]) == 130
    assert cli.main([*FIT, *QUICK, "--resume"]) == 0
    printed = capsys.readouterr()
    assert "60 texts, " in printed.err
    assert "the features are" not in printed.err
    assert "texts.csv: 60 texts\n" in printed.out
    assert "ACC 100.00 %" in printed.out
    run = json.loads(pathlib.Path("texts-clusters/run.json").read_text(encoding="utf-8"))
    assert run["network"] == {"name": "encoder", "weights": None, "n_features": 16}
    assert run["facts"]["network"] == "encoder: 16 features of each text"
    page = pathlib.Path("texts-clusters/report.html").read_text(encoding="utf-8")
    assert "distinguishing terms" in page
    assert "salt and pepper in the soup" in page

    # The folder of the run is enough for new texts: the preset may be gone.
    shutil.rmtree("encoder")
    pandas.DataFrame({"words": ["the team lost the match", "the bank sold shares", "soup and bread"]}).to_csv("new.csv")
    command = [sys.executable, "-m", "deckeras", "predict", "texts-clusters", "new.csv", "--json"]
    found = subprocess.run(command, capture_output=True, check=False, text=True, env=os.environ)
    assert found.returncode == 0, found.stderr
    clusters = pandas.read_csv("texts-clusters/clusters.csv").cluster.to_numpy()
    expected = [int(clusters[FRAME.subject.to_numpy() == subject][0]) for subject in SUBJECTS]
    assert json.loads(found.stdout)["clusters"] == expected
    assert cli.main(["evaluate", "texts-clusters", "texts.csv"]) == 0
    assert "ACC 100.00 %" in capsys.readouterr().out
    pathlib.Path("texts-clusters/report.html").unlink()
    assert cli.main(["report", "texts-clusters"]) == 0
    assert "distinguishing terms" in pathlib.Path("texts-clusters/report.html").read_text(encoding="utf-8")


def test_texts_without_common_words_need_no_terms(embedder):
    FRAME["words"].str.replace(" ", "").to_frame().to_csv("texts.csv")  # as languages without blanks
    write_encoder("encoder", [*WORDS, *sorted({f"##{letter}" for word in WORDS for letter in word})])
    pandas.read_csv("texts.csv").drop_duplicates("words").to_csv("texts.csv", index=False)
    command = [*FIT[:-2], "--names", "Unnamed: 0"]
    assert cli.main([*command[:4], "--text", "words"]) == 1
    assert cli.main([*command, *QUICK]) == 0
    assert "theteamwonthematch" in pathlib.Path("texts-clusters/report.html").read_text(encoding="utf-8")
    assert cli.main(["predict", "texts-clusters", "texts.csv", "-o", "new.csv"]) == 0
    assert (
        pandas.read_csv("new.csv").cluster.tolist() == pandas.read_csv("texts-clusters/clusters.csv").cluster.tolist()
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--weights", "w.h5"], "--weights is for networks of keras.applications"),
        (["--image-size", "8"], "--image-size does not apply"),
        (
            ["--features", "no_such_preset"],
            "'no_such_preset' of KerasHub cannot be loaded.*TextEmbedder.*save_to_preset",
        ),
        (["--features", "pictures"], "'pictures' of KerasHub cannot be loaded as keras_hub.models.TextEmbedder"),
        (["--text", "speech"], "There is no column 'speech'"),
        (["-k", "61"], "n_clusters should be from 1 to the number of rows"),
    ],
)
def test_what_does_not_fit_is_refused(embedder, preset, tmp_path, capsys, options, expected):
    shutil.copytree(preset[1], "pictures")
    assert cli.main([*FIT, *options]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(expected, error), error
    assert not os.path.exists("texts-clusters")


def test_half_precision_is_refused(embedder, monkeypatch):
    monkeypatch.setattr(keras.config, "floatx", lambda: "float16")
    with pytest.raises(ValueError, match=r"floatx\(\) should hold the numbers of tokens"):
        texts.encoder("encoder")


def test_damaged_tokenizers_are_refused(embedder):
    texts.encoder("encoder")[1].save("saved")
    pathlib.Path("saved/preprocessor.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="'saved' should hold a tokenizer"):
        texts.load("saved")
    with pytest.raises(FileNotFoundError):
        texts.load("missing")
