"""The images of a folder as one array."""

import contextlib
import os
import pathlib

import numpy as np

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_SIDE = 32  # pixels: of that side, a dense encoder has a thousand features a channel


def read(path, *, image_size=None, image_shape=None, colour=False):
    """Read the images of a folder and of those in it.

    Args:
        path: the folder.
        image_size: int, the side in pixels to which images are resized after being cut to a square; default None: the
            images' own size where all have the same and no side is over 32, else 32.
        image_shape: (height, width) or (height, width, 3), which comes before `image_size` and `colour`; default None.
        colour: bool, default False: grey.

    Returns:
        (images, names): uint8 array (n, height, width) or (n, height, width, 3), and the paths within the folder, in
        their order.

    Raises:
        ValueError: there is no image, or one that cannot be read.
    """
    path = pathlib.Path(path)
    names = sorted(
        name.relative_to(path).as_posix()
        for name in path.rglob("*")
        if name.name.lower().endswith(EXTENSIONS) and not any(part[0] == "." for part in name.relative_to(path).parts)
    )
    if not names:
        raise ValueError(f"There are no images in {os.fspath(path)!r}, which end in {', '.join(EXTENSIONS)}.")
    paths = [os.fspath(path / name) for name in names]
    if image_shape is None:
        side = image_size or _common_size(paths)
        height, width = (side, side) if isinstance(side, int) else side
        image_shape = (height, width, 3) if colour else (height, width)
    images = np.empty((len(paths), *image_shape), "uint8")
    for number, image in enumerate(paths):
        images[number] = _load(image, image_shape)
    return images, np.array(names)


def _common_size(paths):
    """(height, width) of all the images where that is one and small, else a side to resize them to."""
    from PIL import Image

    sizes = set()
    for path in paths:
        with _readable(path), Image.open(path) as image:
            sizes.add(image.size)
        if len(sizes) > 1:
            return _SIDE
    ((width, height),) = sizes
    return (height, width) if max(width, height) <= _SIDE else _SIDE


def _load(path, image_shape):
    """The image, cut to the shape around its middle, in 8 bits a channel."""
    from PIL import Image, ImageOps

    height, width, *channels = image_shape
    with _readable(path), Image.open(path) as image:
        if image.mode == "F":
            raise OSError("its pixels are floating-point numbers, whose range is not known")
        if image.mode.startswith("I"):  # of 16 bits
            image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype("uint8"))
        image = image.convert("RGB" if channels else "L")
        return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS))


@contextlib.contextmanager
def _readable(path):
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path!r} is no image that can be read: {error}. Move it elsewhere.") from error
