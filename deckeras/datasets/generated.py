"""Generate data sets with known classes, identical on every machine and without a download."""

from __future__ import annotations

import pathlib

import numpy as np

from deckeras._typing import Array

LETTERS = "ABCDEFGHJKLM"
GLYPH_SHAPE = (28, 28)
_FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmti10", "cmss10", "cmtt10"),
)
_GLYPHS = 500  # images of each letter
_SIZES = (1500, 1000, 800, 500, 300, 200)  # rows of each class of `warped`


def glyphs() -> tuple[Array, Array]:
    """Generate images of twelve letters in the 21 text fonts of Matplotlib, distorted at random.

    Returns:
        (x, y): (6000, 784) float64 flat images from 0 to 1, 500 of each letter; (6000,) int64 indices in `LETTERS`.

    Example:
        >>> from deckeras.datasets import generated
        >>> x, y = generated.glyphs()
        >>> x.shape, generated.LETTERS[y[-1]]
        ((6000, 784), 'M')
    """
    from matplotlib import get_data_path

    folder = pathlib.Path(get_data_path(), "fonts", "ttf")
    random = np.random.default_rng(0)
    letters = [[_letter(folder / f"{font}.ttf", letter) for font in _FONTS] for letter in LETTERS]
    images = [_written(fonts[number % len(fonts)], random) for fonts in letters for number in range(_GLYPHS)]
    return np.stack(images).reshape(len(images), -1), np.repeat(np.arange(len(LETTERS)), _GLYPHS)


def _letter(path: pathlib.Path, letter: str) -> Array:
    """Return an image of the letter in the font of the file, from 0 to 1, without a margin."""
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(path))
    font.set_size(64, 72)
    font.set_text(letter)
    font.draw_glyphs_to_bitmap(antialiased=True)
    return np.asarray(font.get_image()) / 255


def _written(letter: Array, random: np.random.Generator) -> Array:
    """Slant, stretch, bend and thicken the image of a letter at random."""
    from scipy import ndimage

    # The number of pixels of the letter per pixel of the result.
    scale = letter.shape[0] / random.uniform(16, 22, size=2)
    slant = random.uniform(-0.35, 0.35)
    bend = 12 * ndimage.gaussian_filter(random.normal(size=(2, *GLYPH_SHAPE)), (0, 4, 4))
    offsets = np.moveaxis(np.indices(GLYPH_SHAPE), 0, -1) - (np.array(GLYPH_SHAPE) - 1) / 2
    down, right = np.moveaxis(offsets, -1, 0) + bend
    places = [letter.shape[0] / 2 + scale[0] * down, letter.shape[1] / 2 + scale[1] * (right + slant * down)]
    thickened = ndimage.grey_dilation(letter, size=random.integers(1, 6))
    smoothed = ndimage.gaussian_filter(thickened, 0.5 * scale.mean())
    return ndimage.map_coordinates(smoothed, places, order=1).clip(0, 1)


def warped() -> tuple[Array, Array]:
    """Generate six Gaussian classes of different sizes in 5 dimensions, mapped to 60 by a random network with noise.

    Returns:
        (x, y): (4300, 60) float64, each feature with mean 0 and variance 1; (4300,) int64, with 200 to 1,500 rows per
        class.

    Example:
        >>> from deckeras.datasets import generated
        >>> generated.warped()[0].shape
        (4300, 60)
    """
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(len(_SIZES)), _SIZES)
    centers = 2.2 * random.normal(size=(len(_SIZES), 5))
    hidden = np.tanh(0.4 * (centers[y] + random.normal(size=(len(y), 5))) @ random.normal(size=(5, 40)))
    x = np.tanh(0.3 * hidden @ random.normal(size=(40, 60))) + 0.1 * random.normal(size=(len(y), 60))
    return (x - x.mean(axis=0)) / x.std(axis=0), y
