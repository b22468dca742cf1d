import base64
import html.parser
import io
import json
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import Image
from scipy import sparse

from deckeras import baseline, files, metrics, plots, report
from deckeras.report import descriptions, html_page

RUN = {
    "title": "cars <1>",
    "facts": {"data": "cars.csv, 60 rows"},
    "command": "deckeras fit cars.csv -k 3",
    "versions": {"deckeras": "0.1.0"},
    "notices": ["comma-separated, 3 columns"],
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
    labels = np.array(["a_$", "$b_$", "c"])[y]
    run = {**RUN, "kmeans": baseline.compare(q.argmax(axis=1), np.r_[y[1:], 0], labels)}
    page = report.make(run, table(labels=labels), q, z, centroids, history)
    outline = Outline(page)
    assert not outline.open
    assert outline.loads == []  # nothing but what is in it
    assert "url(http" not in page
    assert "http" not in re.sub(r'xmlns[:a-z]*="[^"]*"|<metadata.*?</metadata>|<!DOCTYPE svg.*?>', "", page, flags=re.S)
    assert outline.headings == [
        "cars <1>", "Run", "Warnings", "Clusters", "Comparison", "Training", "Map of the embedding",
        "Rows of each cluster", "Centroids", "Overlap between clusters", "Reproduction",
    ]  # fmt: skip
    for text in (
        "cars.csv, 60 rows",
        "comma-separated, 3 columns",
        "No row was assigned",
        "deckeras fit cars.csv -k 3",
        "<speed>",
        "car & 7",
        "100.00",
        "k-means on the same rows",
        "3 of 60 rows are in a different cluster than with DEC",
        "95.00",
    ):
        assert text in outline.text, text
    assert page.count("<svg") == 1  # training
    assert page.count("<i ") == 60  # a point a row
    assert page.count("<tr data-cluster") == 60  # all rows, since they are few
    for cluster, rows in enumerate(metrics.most_confident(q, 12)):
        line = f"<td>car &amp; {rows[0]}</td><td>{html_page.name(cluster)}</td><td>{q[rows[0], cluster]:.3f}</td>"
        assert line in page
    for heading in outline.headings[1:]:
        anchor = html_page.anchor(heading)
        assert f'href="#{anchor}"' in page
        assert f'<section id="{anchor}">' in page


def test_images(assignments):
    q, z, _ = assignments
    x = np.random.default_rng(1).integers(0, 255, size=(60, 6, 5), dtype="uint8")
    rows = table(x=x, features=None, layout=files.Layout(kind="images", image_shape=[6, 5]))
    page = report.make(RUN, rows, q, z, x[:3].reshape(3, -1))
    outline = Outline(page)
    assert not outline.open
    assert "Comparison" not in outline.headings
    assert page.count("data:image/png;base64,") == 60 + 60 + 3  # map, most confident and least certain, centroids
    source = page.split('alt="cluster 2" src="data:image/png;base64,')[1].split('"')[0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
    np.testing.assert_array_equal(picture, x[2])


def test_what_is_odd_is_said():
    q = np.tile([0.4, 0.35, 0.25], (60, 1))
    page = report.make({}, table(), q, np.random.default_rng(0).normal(size=(60, 4)))
    text = Outline(page).text
    assert "100% of the rows are unsure" in text
    assert "Rows of cluster 0 have a mean soft assignment of 35% to cluster 1: the two overlap." in text
    assert "None." not in text


def test_sparse_rows(assignments):
    q, z, _ = assignments
    x = sparse.random(60, 30, density=0.2, format="csr", random_state=0)
    page = report.make(RUN, table(x=x, features=None), q, z, np.eye(3, 30))
    assert "The features that differ most between clusters; 18 more" in page
    assert "The features that differ most between centroids; 6 more" in page


def test_wide_tables_show_the_features_that_differ(assignments):
    q, z, y = assignments
    x = np.random.default_rng(0).normal(size=(60, 30))
    x[:, 20] += 9 * y
    x[:, 25] = 0
    names = [f"f{number}" for number in range(30)]
    centroids = np.stack([x[y == cluster].mean(axis=0) for cluster in range(3)])
    centroids[0, 25] = 1e-5  # A decoder is not exact, and no row differs in this feature.
    for values in x, sparse.csr_matrix(x):
        page = report.make(RUN, table(x=values, features=names), q, z, centroids)
        listed, middle = page[page.index('id="rows"') :], page[page.index('id="centroids"') :]
        assert listed.index(">f20") < listed.index("The features that differ most between clusters; 18 more")
        assert middle.index(">f20") < middle.index("The features that differ most between centroids; 6 more")
        assert ">f25" not in middle


def test_series_are_drawn(assignments):
    q, z, _ = assignments
    x = np.random.default_rng(0).normal(size=(60, 50, 2)).cumsum(axis=1)
    page = report.make(RUN, table(x=x, features=None), q, z, x[:3].reshape(3, -1))
    outline = Outline(page)
    assert not outline.open
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(pictures) == 60 + 60 + 3  # the map, the list, and the centroids
    for picture in pictures[:3]:
        lines = re.findall(r'points="([^"]+)"', base64.b64decode(picture).decode())
        assert [len(line.split()) for line in lines] == [32, 32]


def test_one_update_and_one_cluster(assignments):
    _, z, _ = assignments
    page = report.make(RUN, table(), np.ones((60, 1)), z, history={"loss": [0.0], "changed": [0.25]})
    assert "25.00% of the rows changed cluster" in page


def test_many_rows_and_clusters_are_quick(assignments):
    """Nothing is sorted or counted anew for each of the clusters."""
    random = np.random.default_rng(0)
    q = random.dirichlet(np.ones(200) * 0.05, 20_000).astype("float32")
    rows = table(x=random.normal(size=(20_000, 2)))
    rows = files.Rows(rows.x, np.arange(20_000), rows.features, None, rows.layout)
    start = time.perf_counter()
    shown = report.Shown({}, rows, q, random.normal(size=(20_000, 4)), None, None)
    for heading, write in report.SECTIONS:
        if heading != "Map of the embedding":
            write(shown)
    assert time.perf_counter() - start < 5


def test_labels_may_be_missing(assignments):
    q, z, y = assignments
    labels = np.array([None if n % 3 else "abc"[kind] for n, kind in enumerate(y)], object)
    text = Outline(report.make(RUN, table(labels=labels), q, z)).text
    assert "40 rows have no label" in text
    assert "100.00" in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10744.2, "10,744"),
        (107.25, "107.2"),
        (1.07e4, "10,700"),
        (0.00012345, "0.0001234"),
        (-3.5e-9, "-3.5 × 10⁻⁹"),
        (1e13, "1 × 10¹³"),
        (0.0, "0"),
        (999999.7, "1,000,000"),
        (float("nan"), ""),
        (float("-inf"), "-∞"),
        (7, "7"),
        (np.int64(70000), "70,000"),
        (np.float32(0.5), "0.5"),
    ],
)
def test_numbers(value, expected):
    assert html_page.number(value) == expected


def test_clusters_in_words():
    x = np.array([[900.0, 1, 0, 5, 0], [950, 1, 0, 5, 0], [1500, 0, 1, 5, 0], [1550, 0, 1, 5, 9]])
    features = ["weight", "fuel=petrol", "fuel=diesel", "constant", "dents"]
    labels = np.array([0, 0, 1, 1])
    expected = ["petrol, weight low, dents low", "diesel, weight high, dents high", ""]
    assert descriptions.words(x, labels, 3, features) == expected
    assert descriptions.words(sparse.csr_matrix(x), labels, 3, features) == expected
    assert descriptions.words(x, labels, 3, features, n_words=1) == ["petrol", "diesel", ""]


@pytest.mark.parametrize(
    "x",
    [
        np.repeat([[1e9 - 7], [1e9 + 7.0]], 500, axis=0),
        np.repeat(np.float32([[999], [1001]]), 500_000, axis=0),
        sparse.csr_matrix(np.repeat(np.float32([[999], [1001]]), 500, axis=0)),
    ],
    ids=["float64", "float32", "sparse"],
)
def test_words_of_features_far_from_zero(x):
    """Means and squares of all rows are exact enough to be subtracted."""
    mean, deviation = descriptions.moments(x)
    np.testing.assert_allclose(mean, (x.min() + x.max()) / 2, rtol=1e-7)
    np.testing.assert_allclose(deviation, (x.max() - x.min()) / 2, rtol=1e-3)
    labels = np.repeat([0, 1], x.shape[0] // 2)
    assert descriptions.words(x, labels, 2, ["time"]) == ["time low", "time high"]


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Open a page in Chromium and return what the options make it print."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium here")
    folder = tmp_path_factory.mktemp("browser")

    def open_page(page, *options):
        (folder / "report.html").write_text(page, encoding="utf-8")
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}", *options, (folder / "report.html").as_uri(),
        ]  # fmt: skip
        return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout.decode()

    return open_page


def test_in_a_browser(assignments, browse, tmp_path):
    q, z, _ = assignments
    page = report.make(RUN, table(), q, z)
    browse(page, "--window-size=1000,2500", f"--screenshot={tmp_path / 'page.png'}")
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).reshape(-1, 3)
    ground = np.array([0xF5, 0xF6, 0xF8])
    for color in plots.COLORS[:3]:
        # The points are drawn at four fifths of their color upon the ground, so look for its direction from there.
        wanted = ground - 0.8 * (ground - np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]))
        assert (np.abs(pixels - wanted).max(axis=1) <= 3).sum() > 100, color


def test_what_the_script_does(assignments, browse):
    """Filter, sort, download, zoom and change the colors, and look at what is shown."""
    q, z, _ = assignments
    rows = table()
    rows.names[:] = [f"=car & {n}" for n in range(60)]
    rows.x[:] = -rows.x
    page = report.make(RUN, rows, q, z)
    probe = """
    const seen = {};
    const shown = () => document.querySelectorAll("#list tr[data-cluster]:not(.hidden)").length;
    const click = (selector) => document.querySelector(selector).click();
    const cell = (n) => document.querySelector("#list tbody").rows[0].cells[n].textContent;
    seen.all = shown();
    click("td [data-pick='1']");
    const bright = document.querySelectorAll(".map i:not(.faded)").length;
    seen.picked = [shown(), bright, document.querySelector("#choice").value];
    click("#download");
    seen.download = window.shownRows.trim().split("\\r\\n").length;
    seen.line = window.shownRows.split("\\r\\n")[1];
    click("td [data-pick='1']");
    seen.back = shown();
    click("#list th:nth-child(5) button");
    seen.least = document.querySelector("#list tbody").rows[0].cells[4].dataset.value;
    click("#list th:nth-child(5) button");
    seen.most = document.querySelector("#list tbody").rows[0].cells[4].dataset.value;
    click("[data-zoom='1.6']");
    seen.zoom = document.querySelector(".plane").style.transform;
    click("#theme");
    seen.ground = getComputedStyle(document.body).backgroundColor;
    seen.wide = document.documentElement.scrollWidth <= window.innerWidth;
    document.body.dataset.seen = JSON.stringify(seen);
    """
    page = page.replace("</body>", f"<script>{probe}</script></body>")
    found = browse(page, "--window-size=390,800", "--dump-dom")
    seen = json.loads(html.unescape(re.search(r'data-seen="([^"]*)"', found)[1]))
    x = rows.x[:, 0]
    assert (seen["all"], seen["picked"], seen["back"]) == (60, [20, 20, "1"], 60)
    assert seen["download"] == 21
    assert seen["line"].startswith("'=car & ")
    assert seen["line"].count("'") == 1  # negative numbers remain numbers
    assert (float(seen["least"]), float(seen["most"])) == (x.min(), x.max())
    assert "scale(1.6)" in seen["zoom"]
    assert seen["ground"] == "rgb(21, 24, 28)"
    assert seen["wide"]
