"""Your own folder of images, a folder for each class, `dataset: {folder: path}`."""

from pathlib import Path

import numpy as np

from bench.data import arrays
from bench.data.declarations import SPLITS, Arrays, Declaration
from bench.data.verified_files import checksum, wrong

REMEDY = "give a folder for each class, of images of one size, grey or RGB, of 8 bits a channel"
MODES = ("L", "RGB")
JUNK = ("Thumbs.db", "desktop.ini")


def declare(root: Path, path: str) -> Declaration:
    """The images of a folder, which is looked for as it is, then in the root: `path/<class>/<image>`.

    Classes are numbered in the order of their names. Where `path` holds the folders train, validation and test,
    the classes are in each of these; else a sixth of the images validates, a sixth tests.
    """
    folder = arrays.locate(root, path)
    files = listed(folder)
    classes = sorted({file.parent.name for file in files})
    if len(classes) < 2:
        raise wrong(folder, f"2 to {arrays.MOST} classes", len(classes), REMEDY)
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
    """Whether a folder holds a folder for each split; one that holds some of them alone has a class of that name."""
    return all((folder / split).is_dir() for split in SPLITS)


def listed(folder: Path) -> list[Path]:
    """The images of a folder, by split, class and name, without what file managers leave there."""
    parts = [folder / split for split in SPLITS] if is_split(folder) else [folder]
    found = [path for part in parts for path in sorted(part.glob("*/*")) if path.is_file()]
    return [p for p in found if not p.name.startswith(".") and not p.parent.name.startswith(".") and p.name not in JUNK]


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
