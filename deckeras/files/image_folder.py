"""The images of a folder as one array."""

import collections
import dataclasses
import os
import pathlib

import numpy as np

from deckeras.files import pixels

_SIDE = 32  # pixels: of that side, a dense encoder has a thousand features a channel
_NAMED = 5  # files that a sentence names
_HIDDEN = ("thumbs.db", "desktop.ini")


@dataclasses.dataclass(frozen=True)
class Images:
    """Images that were read.

    Attributes:
        x: uint8 array (n, height, width) or (n, height, width, 3).
        names: (n,) array of str, the paths within the folder, in their order.
        white: int, the value that was taken for white.
        notices: list of str, a sentence for all that was left out or changed.
    """

    x: np.ndarray
    names: np.ndarray
    white: int
    notices: list


def read(path, *, image_size=None, image_shape=None, colour=False, skip_broken=False, white=None):
    """Read the images of a folder and of those in it.

    Args:
        path: the folder.
        image_size: int, the side in pixels to which images are resized after being cut to a square; default None: the
            images' own size where all have the same and no side is over 32, else 32.
        image_shape: (height, width) or (height, width, 3), which comes before `image_size` and `colour`; default None.
        colour: bool, default False: grey.
        skip_broken: bool, default False: a file that cannot be read is an error. True leaves it out.
        white: int, the value of white in images of more than 8 bits; default None: that of the fewest bits that hold
            the largest value in any of them.

    Returns:
        `Images`.

    Raises:
        ValueError: there is no image, or one that cannot be read.
    """
    path = pathlib.Path(path)
    if image_size is not None and (isinstance(image_size, bool) or image_size < 1):
        raise ValueError(f"image_size should be a number of pixels, at least 1. Received: image_size={image_size!r}")
    files, notices = _files(path)
    facts, broken = {}, []
    for name in files:
        try:
            facts[name] = pixels.look(path / name)
        except pixels.BrokenImage as error:
            if not skip_broken:
                raise
            broken.append((name, error.reason))
    if image_shape is None:
        height, width = _common_size(facts.values(), image_size)
        image_shape = (height, width, 3) if colour else (height, width)
    deep = [fact.largest for fact in facts.values() if fact.deep]
    if deep:
        if white == 255 < max(deep):
            raise ValueError(
                f"The images in {os.fspath(path)!r} have values up to {max(deep):g}, but those that the model was "
                "fitted to were of 8 bits. Write these in 8 bits, too."
            )
        white = pixels.white_level(max(deep)) if white is None else white
    images, names = _load(path, list(facts), image_shape, white, skip_broken, broken)
    if white is None and len(images) and images.max() < 16:
        white = pixels.white_level(images.max())  # masks of 0 and 1, and the like
        images, names = _load(path, names, image_shape, white, skip_broken, broken)
    if not names:
        raise ValueError(f"There is no image that can be read in {os.fspath(path)!r}. {_listed_broken(broken)}")
    if broken:
        notices.append(_listed_broken(broken))
    notices += _changes([facts[name] for name in names], white)
    return Images(images, np.array([pixels.shown(name) for name in names]), white or 255, notices)


def _files(path):
    """Return (the names of the images in their order, sentences about the other files)."""
    names, left = [], collections.defaultdict(list)
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if not file.is_file() or any(part[0] == "." for part in name.parts) or file.name.lower() in _HIDDEN:
            continue
        readable, reason = pixels.can_read(file.suffix.lower())
        if readable:
            names.append(name.as_posix())
        else:
            left[reason, file.suffix.lower()].append(name.as_posix())
    notices = []
    for (reason, extension), files in left.items():
        which = f"{len(files)} {extension or 'without an extension'} (such as {pixels.shown(files[0])})"
        notices.append(f"left out: {which if len(files) > 1 else pixels.shown(files[0])}: {reason}")
    if not names:
        more = f" {'; '.join(notices)}" if notices else ""
        raise ValueError(
            f"There are no images in {os.fspath(path)!r}, which end in {', '.join(pixels.EXTENSIONS)}.{more}"
        )
    return names, notices


def _common_size(facts, side):
    """Return (height, width): of the side, or of all the images where that is one and small, else of 32 pixels."""
    if side is not None:
        return side, side
    sizes = {fact.size for fact in facts}
    if len(sizes) == 1 and max(next(iter(sizes))) <= _SIDE:
        return next(iter(sizes))
    return _SIDE, _SIDE


def _load(path, names, image_shape, white, skip_broken, broken):
    """Return (images, their names), and add those that cannot be read to `broken`."""
    images, read_names = np.empty((len(names), *image_shape), "uint8"), []
    for name in names:
        try:
            images[len(read_names)] = pixels.load(path / name, image_shape, white)
        except pixels.BrokenImage as error:
            if not skip_broken:
                raise
            broken.append((name, error.reason))
        else:
            read_names.append(name)
    return images[: len(read_names)], read_names


def _listed_broken(broken):
    shown = "; ".join(f"{pixels.shown(name)} ({reason})" for name, reason in broken[:_NAMED])
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return f"left out, since they cannot be read: {shown}{more}" if broken else ""


def _changes(facts, white):
    """Return sentences on how images were changed in reading."""
    counts = [
        (sum(fact.turned for fact in facts), "turned upright, as their files say"),
        (sum(fact.transparent for fact in facts), "with transparency laid on white"),
        (sum(fact.n_frames > 1 for fact in facts), "of several frames or pages, of which the first is taken"),
    ]
    found = [f"{count:,} of {len(facts):,} images {what}" for count, what in counts if count]
    if white not in (None, 255):
        found.append(f"pixels divided by {white:,}, the white of the fewest bits that hold them")
    return found
