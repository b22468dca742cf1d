"""Read the images of a folder as one array."""

import collections
import dataclasses
import os
import pathlib

import numpy as np

from deckeras.files import columns, options, pixels

_SIDE = 32  # pixels; a dense encoder then has about a thousand features per channel
_MAX_NAMED = 5  # the most files that a sentence names
_MAX_KINDS = 20  # the most file extensions that a sentence names
_HIDDEN = ("thumbs.db", "desktop.ini")


@dataclasses.dataclass(frozen=True)
class Images:
    """Images that were read.

    Attributes:
        x: uint8 array (n, height, width) or (n, height, width, 3).
        names: (n,) array of str, the paths within the folder, sorted.
        white: int, the value of white.
        notices: list of str, sentences about what was left out or changed.
    """

    x: np.ndarray
    names: np.ndarray
    white: int
    notices: list


@options.checked
def read(path, *, image_size=None, image_shape=None, color=False, skip_broken=False, white=None):
    """Read the images of a folder and its subfolders.

    Args:
        path: the folder.
        image_size: int, the side in pixels to which images are resized after they are cropped to a square; default
            None: their own size if all have the same size and no side exceeds 32, otherwise 32.
        image_shape: (height, width) or (height, width, 3), which overrides `image_size` and `color`; default None.
        color: bool, default False. Whether to keep colors rather than convert images to gray.
        skip_broken: bool, default False. Whether to leave out files that cannot be read, rather than raise an error.
        white: int, the value of white in images of more than 8 bits; default None: `pixels.white_level` of the largest
            value in any of them.

    Returns:
        `Images`.

    Raises:
        ValueError: there are no images, or one cannot be read.
    """
    path = pathlib.Path(path)
    files, notices = list_files(path)
    facts, broken = {}, []
    for name in files:
        try:
            facts[name] = pixels.look(path / name)
        except pixels.BrokenImage as error:
            if not skip_broken:
                raise
            broken.append((name, error.reason))
    given = image_shape is not None
    if not given:
        height, width = _common_size(facts.values(), image_size)
        image_shape = (height, width, 3) if color else (height, width)
    deep, asked = [fact.largest for fact in facts.values() if fact.deep], white
    if deep:
        if white == 255 < max(deep):
            raise ValueError(
                f"The images in {os.fspath(path)!r} have values up to {max(deep):g}, but the model was fitted "
                "to images of 8 bits. Convert these to 8 bits, too."
            )
        white = pixels.white_level(max(deep)) if white is None else white
    images, names = _load(path, list(facts), image_shape, white, skip_broken, broken)
    brightest = max(deep) if deep else round(int(images.max(initial=0)) * min(white or 255, 255) / 255)
    if white is None and names and brightest < 16:
        # Such images are, for example, masks of 0 and 1.
        white = pixels.white_level(brightest)
        images, names = _load(path, names, image_shape, white, skip_broken, broken)
    if not names:
        raise ValueError(f"No image in {os.fspath(path)!r} can be read; {listed_broken(broken)}")
    if broken:
        notices.append(listed_broken(broken))
    notices += changes([facts[name] for name in names], white, image_shape, given)
    notices += of_white(deep or [brightest], asked)
    return Images(images, np.array([pixels.shown(name) for name in names]), white or 255, notices)


def list_files(path):
    """Return (the sorted names of the images, sentences about the other files)."""
    names, left = [], collections.defaultdict(lambda: collections.defaultdict(list))
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        reason = _unread(file, name)
        if reason == "":
            names.append(name.as_posix())
        elif reason is not None:
            left[reason][file.suffix.lower()].append(name.as_posix())
    notices = [f"left out: {_counted(files)}: {reason}" for reason, files in left.items()]
    if not names:
        more = f" {'; '.join(notices)}" if notices else ""
        raise ValueError(
            f"There are no images in {os.fspath(path)!r}. Images end in {', '.join(pixels.EXTENSIONS)}. For a table or "
            f"an array, give its file.{more}"
        )
    return names, notices


def _unread(file, name):
    """Return why a file is left out, "" if it is read, or None for folders and system files."""
    if file.is_dir() and not file.is_symlink():
        return None
    readable, reason = pixels.can_read(file.suffix.lower())
    if any(part[0] == "." for part in name.parts):
        # Programs store hidden metadata next to files, such as ._photo.jpg.
        return "hidden" if readable and not file.name.startswith("._") else None
    if file.name.lower() in _HIDDEN:
        return None
    if not file.is_file():
        return "a link to a folder" if file.is_dir() else "not a file, or a link to none"
    return reason


def _counted(files):
    """Return the name of the file, or the number of files, for each extension."""
    parts = [
        f"{len(names)} {extension or 'without an extension'} (such as {pixels.shown(names[0])})"
        if len(names) > 1
        else pixels.shown(names[0])
        for extension, names in files.items()
    ]
    return columns.listed(parts, _MAX_KINDS)


def _common_size(facts, side):
    """Return (height, width): the given side, the size of the images if all share one small size, or 32 x 32."""
    if side is not None:
        return side, side
    sizes = {fact.size for fact in facts}
    if len(sizes) == 1 and max(next(iter(sizes))) <= _SIDE:
        return next(iter(sizes))
    return _SIDE, _SIDE


def _load(path, names, image_shape, white, skip_broken, broken):
    """Return (images, their names), and append images that cannot be read to `broken`."""
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


def listed_broken(broken):
    shown = "; ".join(f"{pixels.shown(name)} ({reason})" for name, reason in broken[:_MAX_NAMED])
    more = f" and {len(broken) - _MAX_NAMED} more" if len(broken) > _MAX_NAMED else ""
    return f"left out, because they cannot be read: {shown}{more}" if broken else ""


def of_white(largest, white):
    """Return sentences about images whose values suggest another white than that of the images of the fit.

    Args:
        largest: list of numbers, the largest values of the images.
        white: int, the white of the fit, or None if it is that of these images.
    """
    level = pixels.white_level(max(largest))
    if white is None or level == white:
        return []
    above = sum(value > white for value in largest)
    if above:
        return [f"values above {white:,}, the white of the fit, are cut off in {above:,} of {len(largest):,} images"]
    return [
        f"no value is above {max(largest):g}, so these images alone would have a white of {level:,}; with that of the "
        f"fit, {white:,}, they are darker"
    ]


def changes(facts, white, image_shape, given=False):
    """Return sentences about the changes that were made to the images.

    They name the options that decide the shape, unless the shape is given, for example by a model.
    """
    sizes = {fact.size for fact in facts}
    target = tuple(image_shape[:2])
    to = f"{target[0]} x {target[1]}"
    cropped = sum(height * target[1] != width * target[0] for height, width in (fact.size for fact in facts))
    from_ = [f"{height} x {width}" for height, width in (min(sizes), max(sizes))]
    resized = (
        f"resized from {from_[0]} to {to}"
        if len(sizes) == 1
        else f"resized to {to}, from sizes such as {' and '.join(from_)}"
    )
    counts = [
        (sum(fact.size != target for fact in facts), resized if given else f"{resized} (--image-size)"),
        (cropped, "cropped to their middle, as their sides have another ratio"),
        (
            0 if len(image_shape) > 2 else sum(not fact.gray for fact in facts),
            "converted to gray if they have colors" + ("" if given else " (--color)"),
        ),
        (sum(fact.turned for fact in facts), "turned upright, by the orientation in their files"),
        (sum(fact.transparent for fact in facts), "with an alpha channel or a transparent color, laid on white"),
        (sum(fact.n_frames > 1 for fact in facts), "of several frames or pages, the first of which is read"),
        (sum(fact.negative for fact in facts), "with negative values, which are read as 0"),
        (sum(fact.shortened for fact in facts), "with 16 bits for each color, of which the upper 8 are read"),
    ]
    found = [f"{count:,} of {len(facts):,} images {what}" for count, what in counts if count]
    if white not in (None, 255):
        found.append(f"pixels divided by {white:,}, the value of white")
    return found
