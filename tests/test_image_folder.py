"""Images are read as people see them, whatever the format of their files."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from deckeras import files
from deckeras.files import image_folder, photographs, pixels

SHAPE = np.zeros((12, 10), "uint8")
SHAPE[2:9, 1:4] = 255  # not symmetric under any turn


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def read(**options):
    return image_folder.read("images", **options)


def transparent(mode):
    """The shape, drawn in the alpha channel alone."""
    black = Image.new("L", SHAPE.shape[::-1])
    image = Image.merge("LA", [black, Image.fromarray(SHAPE)])
    return image if mode == "LA" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colors_of_16_bits_are_said_to_lose_bits(mode, folder):
    """Pillow neither writes nor keeps them, so the file is written by hand."""
    bands, kind = {"RGB": (3, 2), "RGBA": (4, 6), "LA": (2, 4)}[mode]
    values = np.full((4, 4, bands), 40_000, ">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", 4, 4, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    with open(folder / "deep.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, content in chunks:
            file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))
    said = "1 of 1 images with 16 bits for each color, of which the upper 8 are read"
    assert said in image_folder.read(folder).notices


def test_negative_values_are_said_to_be_cut(folder):
    Image.fromarray(np.array([[-1024, 0], [500, 1000]], "int32")).save(folder / "tomogram.tif")
    Image.fromarray(np.array([[0, 0], [500, 1000]], "int32")).save(folder / "other.tif")
    assert "1 of 2 images with negative values, which are read as 0" in image_folder.read(folder).notices


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_orientation(folder, kind, orientation):
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Transpose members that undo themselves or each other
    image = Image.fromarray(SHAPE)
    stored = image if orientation == 1 else image.transpose(Image.Transpose(turn[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(folder / f"turned.{kind}", exif=exif, quality=100)
    found = read()
    assert found.x.shape == (1, 12, 10)
    assert np.abs(found.x[0].astype(int) - SHAPE).max() < 40
    assert ("1 of 1 images turned upright" in " ".join(found.notices)) == (orientation > 1)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "gif"])
def test_transparency_lies_on_white(folder, mode):
    if mode == "gif":
        transparent("RGBA").save(folder / "0.gif")
    elif mode == "P":
        image = Image.fromarray((SHAPE // 255).astype("uint8"), "L").convert("P")
        image.putpalette([0, 0, 0, 0, 0, 0])
        image.save(folder / "0.png", transparency=0)
    else:
        transparent(mode).save(folder / "0.png")
    found = read()
    np.testing.assert_array_equal(found.x[0], 255 - SHAPE)
    assert "1 of 1 images with an alpha channel or a transparent color, laid on white" in found.notices
    assert read(color=True).x[0, 0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_bits_of_deep_images(folder, bits):
    values = np.linspace(0, 2**bits - 1, 96).reshape(8, 12).astype("uint16")
    Image.fromarray(values).save(folder / "0.png")
    Image.fromarray(values // 2).save(folder / "1.tif")
    found = read()
    np.testing.assert_allclose(found.x[0], values / (2**bits - 1) * 255, atol=0.51)
    np.testing.assert_allclose(found.x[1], values // 2 / (2**bits - 1) * 255, atol=0.51)
    assert found.white == 2**bits - 1
    layout = files.read("images").layout
    (folder / "0.png").unlink()
    np.testing.assert_array_equal(files.read_like("images", layout).x[0], found.x[1])  # in the range of the others


def test_small_and_large_ranges(folder):
    Image.fromarray((SHAPE > 0).astype("uint8")).save(folder / "mask.png")
    assert read().x.max() == 255
    assert "pixels divided by 1, the value of white" in read().notices
    Image.fromarray(SHAPE).save(folder / "plain.png")
    assert read().x[0].max() == 1  # beside images of the whole range, it is dark
    (folder / "plain.png").unlink()
    (folder / "mask.png").unlink()
    Image.fromarray(SHAPE.astype("int32")).save(folder / "long.tif")
    np.testing.assert_array_equal(read().x[0], SHAPE)
    Image.fromarray((SHAPE / 255).astype("float32")).save(folder / "long.tif")
    np.testing.assert_array_equal(read().x[0], SHAPE)
    layout = files.Layout(kind="images", image_shape=[12, 10], white=255)
    Image.fromarray(SHAPE.astype("int32") * 100).save(folder / "long.tif")
    with pytest.raises(ValueError, match="values up to 25500.* of 8 bits"):
        files.read_like("images", layout)


MASK = (SHAPE > 0).astype("uint8")
DEEP = SHAPE.astype("uint16")
WHITES = {
    "brighter": (3 * DEEP, 12 * DEEP, "values above 1,023, the white of the fit, are cut off in 1 of 1 images"),
    "much darker": (
        200 * DEEP,
        DEEP,
        "no value is above 255, .* white of 255; with that of the fit, 65,535, they are dar",
    ),
    "masks": (SHAPE, MASK, "no value is above 1, .* white of 1; with that of the fit, 255, they are darker"),
    "deep masks": (
        200 * DEEP,
        MASK.astype("uint16"),
        "no value is above 1, .* white of 1; .* fit, 65,535, they are darker",
    ),
    "a little darker": (3 * DEEP, 2 * DEEP, None),
    "the same": (3 * DEEP, 3 * DEEP, None),
    "masks again": (MASK, MASK, None),
    "dark": (SHAPE, SHAPE // 4, None),
    "fractions": ((SHAPE / 255).astype("float32"), (SHAPE / 400).astype("float32"), None),
}


@pytest.mark.parametrize("kind", WHITES)
def test_new_images_of_another_white(folder, kind):
    """They were cut off or black without a word."""
    first, new, expected = WHITES[kind]
    extension = "tif" if first.dtype == "float32" else "png"
    Image.fromarray(first).save(folder / f"0.{extension}")
    layout = files.read("images").layout
    Image.fromarray(new).save(folder / f"0.{extension}")
    for rows in files.read_like("images", layout), photographs.read(folder, (8, 12), white=layout.white):
        if kind == "masks" and isinstance(rows.x, photographs.Photographs):
            continue  # The brightest pixel is not known before the images are decoded.
        notices = [notice for notice in rows.notices if "the fit" in notice]
        assert len(notices) == (expected is not None)
        assert not notices or re.match(expected, notices[0])


@pytest.mark.parametrize("kind", ["jfif", "pgm", "ppm", "pbm", "jp2", "ico", "avif", "webp", "tga", "bmp"])
def test_kinds(folder, kind):
    image = Image.fromarray(np.kron(SHAPE[:8, :8], np.ones((2, 2), "uint8")))
    codec = {"jfif": "JPEG", "jp2": "JPEG2000"}.get(kind)
    try:
        image.convert("1" if kind == "pbm" else "RGB").save(folder / f"0.{kind}", codec)
    except (OSError, KeyError, ValueError) as error:
        pytest.skip(f"Pillow has no encoder for it here: {error}")
    assert np.abs(read(image_size=16).x[0].astype(int) - np.asarray(image)).mean() < 12


def test_heic(folder):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.fromarray(np.kron(SHAPE, np.ones((8, 8), "uint8"))).convert("RGB").save(folder / "0.heic", quality=95)
    assert read().x.shape == (1, 32, 32)


def test_what_is_left_out_is_named(folder, monkeypatch):
    monkeypatch.setattr(pixels, "_heif", lambda: False)
    Image.fromarray(SHAPE).save(folder / "0.png")
    for name in ("a.heic", "b.heic", "notes.txt", ".hidden.png", "._0.png", ".DS_Store", "Thumbs.db", "readme"):
        (folder / name).write_bytes(b"x")
    (folder / "lost.png").symlink_to("nowhere.png")
    (folder / "around").symlink_to(".")
    notices = read().notices
    assert "left out: 2 .heic (such as a.heic): Reading .heic needs pillow-heif. From the clone" in " ".join(notices)
    assert "left out: notes.txt, readme: not an extension of images" in notices
    assert "left out: .hidden.png: hidden" in notices
    assert "left out: lost.png: not a file, or a link to none" in notices
    assert "left out: around: a link to a folder" in notices
    assert len(notices) == 5
    (folder / "0.png").unlink()
    with pytest.raises(ValueError, match="no images in 'images'.* needs pillow-heif"):
        read()


@pytest.mark.parametrize(
    ("images", "options", "told"),
    [
        ([("L", (10, 10)), ("L", (10, 10))], {}, []),
        ([("RGB", (10, 10)), ("L", (10, 10))], {}, ["1 of 2 images converted to gray if they have colors (--color)"]),
        ([("RGB", (10, 10))], {"color": True}, []),
        ([("RGBA", (10, 10))], {"color": True}, [
            "1 of 1 images with an alpha channel or a transparent color, laid on white",
        ]),
        ([("L", (40, 40))], {}, ["1 of 1 images resized from 40 x 40 to 32 x 32 (--image-size)"]),
        ([("L", (40, 40))], {"image_size": 40}, []),
        ([("L", (60, 20)), ("L", (10, 10)), ("L", (32, 32))], {}, [
            "2 of 3 images resized to 32 x 32, from sizes such as 10 x 10 and 32 x 32 (--image-size)",
            "1 of 3 images cropped to their middle, as their sides have another ratio",
        ]),
        ([("CMYK", (10, 10))], {"color": True}, []),
        # The shape of a model's images, which no option changes.
        ([("RGB", (20, 10))], {"image_shape": (8, 8)}, [
            "1 of 1 images resized from 10 x 20 to 8 x 8",
            "1 of 1 images cropped to their middle, as their sides have another ratio",
            "1 of 1 images converted to gray if they have colors",
        ]),
    ],
)  # fmt: skip
def test_what_is_changed_is_said(folder, images, options, told):
    for number, (mode, size) in enumerate(images):
        Image.new("RGB", size, "white").convert(mode).save(folder / f"{number}.{'tif' if mode == 'CMYK' else 'png'}")
    assert read(**options).notices == told


def test_classes_of_subfolders(folder):
    for name in ("cat/0.PNG", "dog/1.png", "dog/young/2.png", "3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(SHAPE).save(folder / name)
    rows = files.read("images", folder_labels=True)
    assert dict(zip(rows.names, rows.labels, strict=True)) == {
        "3.png": None, "cat/0.PNG": "cat", "dog/1.png": "dog", "dog/young/2.png": "dog/young",
    }  # fmt: skip
    assert rows.notices == [
        "1 of 4 rows have no label; the scores are those of the others",
        'subfolders of subfolders are classes of their own: "dog/young"',
    ]


def test_broken_images_can_be_skipped(folder):
    Image.fromarray(SHAPE).save(folder / "0.png")
    raw = (folder / "0.png").read_bytes()
    (folder / "1.png").write_bytes(raw[:60])
    (folder / "2.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match="1.png' cannot be read as an image: .*--skip-broken"):
        read()
    found = read(skip_broken=True)
    assert found.names.tolist() == ["0.png"]
    assert "left out, because they cannot be read: " in found.notices[0]
    assert "1.png" in found.notices[0]
    assert "2.jpg (its content is not a known image)" in found.notices[0]
    (folder / "0.png").unlink()
    with pytest.raises(ValueError, match="No image in .* can be read"):
        read(skip_broken=True)


def test_bombs_and_broken_films_are_refused(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    Image.fromarray(SHAPE).save(folder / "map.png")
    with pytest.raises(ValueError, match="map.png' cannot be read as an image: .* exceeds limit"):
        read()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 70)  # of which Pillow only warns
    assert read().x.shape == (1, 12, 10)
    frames = [Image.fromarray(np.roll(SHAPE, n, 0)) for n in range(3)]
    frames[0].save(folder / "map.png", save_all=True, append_images=frames[1:])
    monkeypatch.undo()
    monkeypatch.chdir(folder.parent)
    assert "1 of 1 images of several frames or pages, the first of which is read" in read().notices
    raw = (folder / "map.png").read_bytes()
    place = raw.index(b"acTL")
    (folder / "map.png").write_bytes(raw[: place - 4] + b"\x00\x00\x00\x02acTL" + raw[place + 4 :])
    with pytest.raises(ValueError, match="map.png' cannot be read as an image"):
        read()


def test_names_that_are_no_utf8(folder):
    import os

    Image.fromarray(SHAPE).save(os.fsencode(folder) + b"/\xfc.png", "png")
    assert read().names.tolist() == ["\\xfc.png"]


def _mutate(raw, random):
    raw = bytearray(raw)
    kind = random.integers(4)
    if kind == 0:
        return bytes(raw[: random.integers(len(raw))])
    for _ in range(random.integers(1, 12)):
        place = random.integers(len(raw))
        if kind == 1:
            raw[place] = random.integers(256)
        elif kind == 2:
            raw[place : place + 4] = random.bytes(4)
        else:
            del raw[place : place + random.integers(1, 9)]
            raw += b"\x00"
    return bytes(raw)


@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.long)])
def test_mutated_images_are_read_or_refused(folder, count):
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 255, (24, 20, 3), dtype="uint8"))
    sources = []
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "hello")
    for codec, options in [
        ("png", {"pnginfo": info}), ("jpeg", {}), ("gif", {}), ("tiff", {"compression": "tiff_lzw"}), ("webp", {}),
        ("bmp", {}), ("ico", {}), ("ppm", {}), ("jpeg2000", {}),
    ]:  # fmt: skip
        file = io.BytesIO()
        image.save(file, codec, **options)
        sources.append(({"jpeg2000": "jp2"}.get(codec, codec), file.getvalue()))
    refused = []
    for number in range(count):
        extension, raw = sources[number % len(sources)]
        path = folder / f"{number}.{extension}"
        path.write_bytes(_mutate(raw, random))
        try:
            assert read().x.shape[0] == 1
        except pixels.BrokenImage as error:
            refused.append((f"{number}.{extension}' cannot be read as an image", str(error)))
        path.unlink()
    assert all(wanted in found for wanted, found in refused)
    assert count / 4 < len(refused) < count
