import base64
import html.parser
import io
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from scipy import sparse

from deckeras import files, metrics, plots, report

RUN = {
    "title": "cars <1>",
    "facts": {"data": "cars.csv, 60 rows"},
    "command": "deckeras fit cars.csv -k 3",
    "versions": {"deckeras": "0.1.0"},
    "warnings": ["No row was assigned to the clusters [2]"],
}


class Outline(html.parser.HTMLParser):
    """The headings, the elements that are not closed, and what the page would load from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.headings, self.open, self.loads, self.text = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br", "path", "use", "rect", "image"):
            self.open.append(tag)
        self.loads += [
            value for name, value in attrs if name in ("src", "href", "xlink:href") and value[:1] not in "#d"
        ]

    def handle_startendtag(self, tag, attrs):
        self.look(attrs)

    def look(self, attrs):
        links = [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.loads += [link for link in links if not link.startswith(("#", "data:"))]

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


@pytest.fixture
def assignments():
    """(q, z, y) of 60 rows in 3 clusters."""
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    q = random.dirichlet([1, 1, 1], 60) * 0.3 + 0.7 * np.eye(3)[y]
    return q, random.normal(size=(60, 4)) + 9 * np.eye(3, 4)[y], y


def table(**options):
    x = np.random.default_rng(1).normal([5, 100], [1, 20], size=(60, 2))
    values = {"features": ["weight", "<speed>"], "labels": None, "layout": files.Layout(kind="table"), **options}
    return files.Rows(values.pop("x", x), np.array([f"car & {n}" for n in range(60)]), **values)


def test_table(assignments):
    q, z, y = assignments
    centroids = np.array([[4.0, 90], [5, 100], [6, 111]])
    history = {"loss": [0.3, 0.2], "changed": [0.1, 0.0]}
    page = report.make(RUN, table(labels=np.array(["a_$", "$b_$", "c"])[y]), q, z, centroids, history)
    outline = Outline(page)
    assert not outline.open
    assert outline.loads == []  # nothing but what is in it
    assert "<script" not in page
    assert "url(http" not in page
    assert outline.headings == [
        "cars <1>", "Run", "Warnings", "Clusters", "Scores", "Training", "Map of the embedding", "Rows of each cluster",
        "Centroids", "Overlap between clusters", "How to make it again",
    ]  # fmt: skip
    for text in (
        "cars.csv, 60 rows",
        "No row was assigned",
        "deckeras fit cars.csv -k 3",
        "<speed>",
        "car & 7",
        "100.00",
    ):
        assert text in outline.text
    assert page.count("<svg") == 2  # confusion and training
    assert page.count("<i style") == 60  # a point a row
    for cluster, rows in enumerate(metrics.surest_rows(q, 12)):
        assert f"<td>car &amp; {rows[0]}</td><td>{q[rows[0], cluster]:.3f}</td>" in page


def test_images(assignments):
    q, z, _ = assignments
    x = np.random.default_rng(1).integers(0, 255, size=(60, 6, 5), dtype="uint8")
    rows = table(x=x, features=None, layout=files.Layout(kind="images", image_shape=[6, 5]))
    page = report.make(RUN, rows, q, z, x[:3].reshape(3, -1))
    outline = Outline(page)
    assert not outline.open
    assert "Scores" not in outline.headings
    assert page.count("data:image/png;base64,") == 60 + 3 * 24 + 3  # map, surest and least certain, centroids
    source = page.split('alt="cluster 2" src="data:image/png;base64,')[1].split('"')[0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
    np.testing.assert_array_equal(picture, x[2])


def test_what_is_odd_is_said():
    q = np.tile([0.4, 0.35, 0.25], (60, 1))
    page = report.make({}, table(), q, np.random.default_rng(0).normal(size=(60, 4)))
    text = Outline(page).text
    assert "100% of the rows are unsure" in text
    assert "Rows of cluster 0 belong to cluster 1 by 35%: the two overlap." in text
    assert "None." not in text


def test_sparse_rows(assignments):
    q, z, _ = assignments
    x = sparse.random(60, 30, density=0.2, format="csr", random_state=0)
    page = report.make(RUN, table(x=x, features=None), q, z, np.eye(3, 30))
    assert "and 18 more features" in page
    assert "The features that differ most between them; 6 more." in page


def test_one_update_and_one_cluster(assignments):
    _, z, _ = assignments
    page = report.make(RUN, table(), np.ones((60, 1)), z, history={"loss": [0.0], "changed": [0.25]})
    assert "after which 25.00% of the rows changed cluster" in page


def test_in_a_browser(assignments, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium here")
    q, z, _ = assignments
    (tmp_path / "report.html").write_text(report.make(RUN, table(), q, z), encoding="utf-8")
    subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1000,2500",
            f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "report.html").as_uri(),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).reshape(-1, 3)
    for colour in plots.COLOURS[:3]:
        # The points are drawn at three quarters of their colour upon white, so look for its direction from there.
        wanted = 255 - 0.75 * (255 - np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]))
        assert (np.abs(pixels - wanted).max(axis=1) <= 3).sum() > 100, colour
