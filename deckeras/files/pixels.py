"""Decode an image file into the gray values or colors that people see.

The orientation stored by a camera is applied, transparent pixels are placed on white, and images with more than 8 bits
are scaled by the range that they use.
"""

import contextlib
import dataclasses
import math
import os
import warnings

import numpy as np

from deckeras import _extras

EXTENSIONS = (
    ".png", ".apng", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm",
    ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".ico", ".tga", ".avif",
)  # fmt: skip
HEIF = (".heic", ".heif")
_DEEP = ("I", "F")  # first letters of the modes with more than 8 bits
_BITS = (1, 2, 4, 8, 10, 12, 14, 16)


@dataclasses.dataclass(frozen=True)
class Facts:
    """The properties of an image file.

    Attributes:
        size: (height, width) after the orientation is applied.
        deep: bool, whether it has more than 8 bits.
        largest: int or float, its largest value if it is deep; otherwise 255.
        transparent, turned: bools, whether it may have transparent pixels, and whether it is stored in another
            orientation.
        n_frames: int, the number of its pages or frames; the first one is read.
        gray: bool, whether its format has no colors.
        negative: bool, whether it has negative values, which are read as 0.
        shortened: bool, whether its format has 16 bits for each color, of which Pillow reads the upper 8.
    """

    size: tuple
    deep: bool = False
    largest: float = 255
    transparent: bool = False
    turned: bool = False
    n_frames: int = 1
    gray: bool = False
    negative: bool = False
    shortened: bool = False


class BrokenImage(ValueError):  # noqa: N818 - reads well in `except`
    """An error for an image that cannot be read.

    Attributes:
        reason: str
    """

    def __init__(self, path, reason):
        self.reason = str(reason)
        super().__init__(
            f"{shown(path)!r} cannot be read as an image: {reason}. Move it elsewhere, or leave out such files by "
            "--skip-broken."
        )


def look(path):
    """Return the `Facts` of an image; raise `BrokenImage` if it cannot be read."""
    with _opened(path) as image:
        deep = image.mode.startswith(_DEEP)
        shortened = not deep and any(";16" in str(part.args) for part in image.tile)
        values = np.asarray(image) if deep else np.zeros(1)
        largest = _values(image).max() if deep else 255
        orientation = image.getexif().get(0x0112, 1)
        turned = orientation in range(2, 9)
        width, height = image.size
        # Pillow rotates a TIFF itself, and returns the size after the rotation.
        on_its_side = orientation in (5, 6, 7, 8) and image.format != "TIFF"
        size = (width, height) if on_its_side else (height, width)
        gray = image.mode in ("1", "L") or deep
        frames, negative = getattr(image, "n_frames", 1), bool(values.min() < 0)
        return Facts(size, deep, largest, _has_alpha(image), turned, frames, gray, negative, shortened)


def white_level(largest):
    """Return the value of white: the largest value of the smallest bit depth that can hold the values of the images.

    Args:
        largest: int or float of at least 0, the largest value of the images. Floating-point pixels range from 0 to 1.

    Example:
        >>> from deckeras.files import pixels
        >>> pixels.white_level(1000), pixels.white_level(200), pixels.white_level(0.7)
        (1023, 255, 1)
    """
    if largest <= 1:
        return 1
    return next((2**bits - 1 for bits in _BITS if largest < 2**bits), int(largest))


def load(path, image_shape, white=None, *, fast=False):
    """Decode an image, crop it around its middle, and resize it.

    Args:
        path: the file.
        image_shape: (height, width) for gray, (height, width, 3) for colors.
        white: number, the value that becomes 255 in images of more than 8 bits; default None: `white_level` of the
            image itself. A value below 255 also applies to 8-bit images.
        fast: bool, default False. Whether to decode JPEG files at an eighth, a quarter or half of their size if that
            is still twice the requested size.

    Returns:
        uint8 array of that shape.

    Raises:
        BrokenImage: the file is damaged, too large or not an image.
    """
    from PIL import Image, ImageOps

    height, width, *channels = image_shape
    with _opened(path) as image:
        if fast:
            factor = 2 * max(height, width) / min(image.size)
            image.draft(None, (math.ceil(image.size[0] * factor), math.ceil(image.size[1] * factor)))
        image = ImageOps.exif_transpose(image)
        deep = image.mode.startswith(_DEEP)
        if deep:
            values = _values(image)
            level = white_level(values.max()) if white is None else white
            image = Image.fromarray((values * (255 / level)).round().clip(0, 255).astype("uint8"))
        bits = image.mode == "1"
        image = _on_white(image).convert("RGB" if channels else "L")
        if not deep and not bits and white is not None and white < 255:
            if np.asarray(image).max() > white:
                raise OSError(f"it has values above {white}, the white of the other images")
            image = image.point(lambda value: min(255, round(value * 255 / white)))
        return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS))


def can_read(extension):
    """Return (whether files of this extension can be read, the reason if not)."""
    if extension in EXTENSIONS:
        return True, ""
    if extension in HEIF:
        return (True, "") if _heif() else (False, str(_extras.needed(f"Reading {extension}", "pillow-heif", "heic")))
    return False, "not an extension of images"


def _heif():
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _values(image):
    """Return the values of an image with more than 8 bits as float64, with 0 for negative values."""
    values = np.asarray(image).astype("float64")
    if image.mode == "F" and not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise OSError("its pixels are floating-point numbers beyond 0 to 1, whose range is not known")
    return values.clip(0)


def _has_alpha(image):
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _on_white(image):
    """Return the image with its transparent pixels placed on white."""
    from PIL import Image

    if not _has_alpha(image):
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


@contextlib.contextmanager
def _opened(path):
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns about large images and odd metadata, which is irrelevant to the user.
            warnings.simplefilter("ignore")
            # If Pillow opens a TIFF by name, it maps the file into memory, and misreads a rotated one.
            with open(path, "rb") as file, Image.open(file) as image:
                yield image
    except (PermissionError, FileNotFoundError):
        raise
    except Exception as error:
        # Pillow's decoders raise errors of any class for damaged bytes.
        unknown = type(error).__name__ == "UnidentifiedImageError"
        reason = "its content is not a known image" if unknown else str(error).rstrip(".") or type(error).__name__
        raise BrokenImage(path, reason) from error


def shown(name):
    """Return a name as printable text, with bytes that are not valid UTF-8 shown like \\xfc."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
