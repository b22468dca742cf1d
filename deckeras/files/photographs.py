"""Read the photographs of a folder on demand: of any size, in color, and never all in memory at once."""

import concurrent.futures
import hashlib
import os
import pathlib

import numpy as np

from deckeras import sources
from deckeras.files import class_labels, image_folder, options, pixels
from deckeras.files.layouts import Layout, Rows


class Photographs(sources.Items):
    """The photographs of a folder as rows. Threads crop and resize each one when it is read.

    Args:
        paths: list of paths of image files.
        size: (height, width) in pixels to which they are resized.
        white: number, default None. The value of white in images of more than 8 bits; None uses that of each image.
    """

    def __init__(self, paths, size, white=None):
        super().__init__(len(paths), (*size, 3), "uint8")
        self.paths, self.white = list(paths), white

    def content(self):
        """Return what identifies these photographs: a checksum of their files in order, and how they are read.

        Returns:
            JSON-able list.
        """
        digest = hashlib.blake2b(digest_size=16)
        for part in _in_threads(_checksum, self.paths):
            digest.update(part)
        return ["photographs", *self.shape, self.white, digest.hexdigest()]

    def _each(self, rows):
        return _in_threads(self._load, rows)

    def _load(self, row):
        return pixels.load(self.paths[row], self.shape[1:], self.white, fast=True)


@options.checked
def read(path, size, *, folder_labels=False, skip_broken=False, white=None):
    """Find the photographs of a folder and its subfolders.

    Args:
        path: the folder.
        size: (height, width) in pixels to which photographs are resized, after they are cropped around their center
            to the same aspect ratio.
        folder_labels: bool, default False. Whether the names of the subfolders are the classes of their images.
        skip_broken: bool, default False. Whether to leave out files that cannot be read. To find them, all files are
            read once first.
        white: int, the value of white in images of more than 8 bits; default None: by the largest value in any.

    Returns:
        `deckeras.files.Rows`, whose `x` is `Photographs`.

    Raises:
        ValueError: there are no images, or one cannot be read.
        FileNotFoundError: there is no such folder.
    """
    folder = pathlib.Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder of photographs {os.fspath(path)!r}.")
    names, notices = image_folder.list_files(folder)
    facts, broken = {}, []
    for name, fact in zip(names, _in_threads(lambda name: _look(folder / name, skip_broken), names), strict=True):
        if isinstance(fact, pixels.BrokenImage):
            broken.append((name, fact.reason))
        else:
            facts[name] = fact
    if not facts:
        listed = image_folder.listed_broken(broken)
        raise ValueError(f"No image in {os.fspath(path)!r} can be read; {listed}")
    deep = [fact.largest for fact in facts.values() if fact.deep]
    notices += image_folder.of_white(deep, white) if deep else []
    if deep and white is None:
        white = pixels.white_level(max(deep))
    notices += [image_folder.listed_broken(broken)] if broken else []
    notices += image_folder.changes(list(facts.values()), white, (*size, 3), given=True)
    shown = np.array([pixels.shown(name) for name in facts])
    labels = class_labels.of_folders(shown, notices) if folder_labels else None
    layout = Layout(kind="images", image_shape=[*size, 3], white=white)
    x = Photographs([folder / name for name in facts], size, white)
    return Rows(x, shown, None, labels, layout, notices)


def _look(path, whole):
    """Return the `Facts` of an image or, with `whole`, the `BrokenImage` that is raised when all of it is read."""
    try:
        fact = pixels.look(path)
        if whole:
            pixels.load(path, (8, 8, 3), fast=True)
    except pixels.BrokenImage as error:
        if not whole:
            raise
        return error
    return fact


def _checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def _in_threads(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, items)
