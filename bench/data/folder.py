"""Your own folder of images, a folder for each class, `dataset: {folder: path}`."""

from pathlib import Path

import numpy as np

from bench.data import arrays
from bench.data.declarations import SPLITS, Arrays, Declaration
from bench.data.verified_files import checksum, wrong

REMEDY = "give a folder for each class, of images of one size, grey or RGB, of 8 bits a channel"
MODES = ("L", "RGB")


def declare(root: Path, path: str) -> Declaration:
    """The images of a folder, which is looked for as it is, then in the root: `path/<class>/<image>`.

    Classes are numbered in the order of their names. Where `path` holds the folders train, validation and test,
    the classes are in each of these; else a sixth of the images validates, a sixth tests.
    """
    folder = arrays.locate(root, path)
    files = listed(folder)
    classes = sorted({file.parent.name for file in files})
    if len(classes) < 2:
        raise wrong(folder, f"2 to {arrays.MOST} classes", "1", REMEDY)
    first = image(files[0])

    def read(checksums: dict[str, str]) -> Arrays:
        images = []
        for file in files:
            images.append(image(file))
            if images[-1].shape != first.shape:
                raise wrong(file, said(first), said(images[-1]), f"{REMEDY}; {files[0].name} is the first")
        labels = np.array([classes.index(file.parent.name) for file in files])
        split = np.array([file.parent.parent.name for file in files]) if is_split(folder) else None
        return arrays.dealt(folder, np.stack(images), labels, split)

    return Declaration(
        shape=arrays.shape_of(folder, (1, *first.shape)), classes=len(classes), read=read,
        found=lambda: {file.relative_to(folder).as_posix(): checksum(file) for file in files},
        large=4 * first.size * len(files) > arrays.LARGE,
    )  # fmt: skip


def is_split(folder: Path) -> bool:
    """Whether a folder holds a folder for each split; if for some of them only, they would be taken for classes."""
    return {path.name for path in visible(folder)} == set(SPLITS)


def listed(folder: Path) -> list[Path]:
    """The images of a folder, by split, class and name.

    Raises:
        DataError: none, or no folder for each class.
    """
    parts = [folder / split for split in SPLITS] if is_split(folder) else [folder]
    files = []
    for part in parts:
        classes = visible(part)
        if stray := [path for path in classes if not path.is_dir()]:
            raise wrong(part, "a folder for each class", f"the file {stray[0].name}", REMEDY)
        if part == folder and (odd := [path.name for path in classes if path.name in SPLITS]):
            raise wrong(folder, f"all of the folders {', '.join(SPLITS)}, or none", ", ".join(odd), REMEDY)
        for path in classes:
            files += (own := visible(path))
            if not own:
                raise wrong(path, "the images of a class", "an empty folder", REMEDY)
            if nested := [file for file in own if file.is_dir()]:
                raise wrong(path, "the images of a class", f"the folder {nested[0].name}", REMEDY)
    if not files:
        raise wrong(folder, "a folder for each class", "an empty folder", REMEDY)
    return files


def visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name, without what file managers leave there."""
    if not folder.is_dir():
        raise wrong(folder, "a folder for each class", "a file; {arrays: path} reads an .npz file", REMEDY)
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "Thumbs.db")


def image(file: Path) -> np.ndarray:
    """The bytes of an image: (height, width), or (height, width, 3) of colours.

    Raises:
        DataError: it is no image, or not of bytes.
    """
    from PIL import Image

    try:
        with Image.open(file) as found:
            mode, pixels = found.mode, np.asarray(found)
    except Exception as error:  # a damaged file makes the parser fail in any way
        raise wrong(file, "an image", f"none that can be read ({error})", REMEDY) from error
    if mode not in MODES:
        raise wrong(file, "a grey or RGB image of 8 bits a channel", f"the mode {mode}", REMEDY)
    return pixels


def said(pixels: np.ndarray) -> str:
    """What an image is."""
    return f"{'RGB' if pixels.ndim == 3 else 'grey'}, {pixels.shape[0]} x {pixels.shape[1]} pixels"
