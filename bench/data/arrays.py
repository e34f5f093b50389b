"""Your own arrays: an .npz file of images or vectors and their classes, `dataset: {arrays: path.npz}`."""

import os
from functools import cache
from hashlib import blake2b
from math import prod
from pathlib import Path

import numpy as np

from bench.config.schema import unknown
from bench.data.declarations import SPLITS, Arrays, Declaration
from bench.data.verified_files import WHERE, Absent, DataError, checksum, wrong

NAMES = ("images", "labels", "split")
REMEDY = "numpy.savez(path, images=…, labels=…, split=…) writes it"
LARGE = 2**28  # bytes: more float32 images than that are kept as bytes
MOST = 255  # classes that a byte can hold beside "unknown"


def declare(root: Path, path: str) -> Declaration:
    """The arrays of a file, which is looked for as it is, then in the root: checked, all of them, here and now.

    `images`: bytes (n, height, width), (n, height, width, 3) or vectors (n, d), or floats in [0, 1] of these shapes.
    `labels` (n): 0, 1, … without a gap; -1 where unknown, in training. `split` (n), optional: "train", "validation" or
    "test"; without it a sixth validates and a sixth tests.
    """
    file = locate(root, path)
    state = file.stat()
    return declared(file, (state.st_ino, state.st_size, state.st_mtime_ns))


@cache
def declared(file: Path, state: tuple[int, ...]) -> Declaration:
    """The declaration of a file, once per process unless it changes."""
    images, labels, split = opened(file)
    shape = shape_of(file, images.shape)
    splits = dealt(file, images, labels, split)
    y = splits["train"][1]
    return Declaration(
        shape=shape, classes=int(labels.max()) + 1, smallest_class=int(np.bincount(y[y >= 0]).min()),
        labelled=bool((y >= 0).all()),
        sizes={name: len(part[1]) for name, part in splits.items()}, white=255 if images.dtype == np.uint8 else 1,
        large=4 * images.size > LARGE, read=lambda checksums: dealt(file, *opened(file)),
        found=lambda: {"arrays": checksum(file)},
    )  # fmt: skip


def locate(root: Path, path: str) -> Path:
    """Where a user's own file or folder is.

    Raises:
        Absent: nowhere.
    """
    given = Path(os.path.expanduser(os.path.expandvars(path)))
    for found in (given, root / given):
        if os.path.exists(found):
            return found
    raise wrong(given, "data of your own", f"none, nor {root / given}", f"correct the path; {WHERE}", Absent)


def opened(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Images, labels and split of a file.

    Raises:
        DataError: it is no .npz file, lacks an array or has others.
    """
    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as archive:
            found = dict(archive)
    except Exception as error:  # a damaged file makes the parser fail in any way
        raise wrong(file, "an .npz file of images and labels", error, REMEDY) from error
    if lacking := [name for name in NAMES[:2] if name not in found]:
        raise wrong(file, f"the array {lacking[0]}", ", ".join(found) or "no array", REMEDY)
    if others := sorted(found.keys() - {*NAMES}):
        raise DataError(f"{file}: {unknown(others[0], NAMES)}")
    return found["images"], found["labels"], found.get("split")


def shape_of(where: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(channels, height, width) of the images of an array of this shape."""
    match shape[1:]:
        case (height, width) | (height, width, 3) if height and width:
            return len(shape) - 1 if len(shape) == 4 else 1, height, width
        case (d,) if d:
            return 1, 1, d
    raise wrong(where, "images (n, height, width), (n, height, width, 3) or vectors (n, d)", f"{shape}", REMEDY)


def dealt(where: Path, images: np.ndarray, labels: np.ndarray, split: np.ndarray | None = None) -> Arrays:
    """The three splits of images, in an order that one fixed permutation of numpy's legacy generator gives.

    Without `split` a sixth of the different images validates, a sixth tests; equal images stay together, and those
    of unknown class train.

    Raises:
        DataError: images or labels that cannot be used, equal images in different splits.
    """
    x = levels(where, images)
    check_labels(where, labels, len(x))
    y = labels.astype(np.int64)
    seen: dict[bytes, int] = {}
    group = np.array([seen.setdefault(blake2b(row, digest_size=16).digest(), len(seen)) for row in x])
    if split is None:
        known = np.setdiff1d(group, group[y < 0])
        drawn = known[np.random.RandomState(0).permutation(len(known))]
        sixth = len(known) // 6
        which = np.zeros(len(x), int) + np.isin(group, drawn[:sixth]) + 2 * np.isin(group, drawn[sixth : 2 * sixth])
    else:
        which = given(where, split, len(x))
        first = np.full(len(seen), len(x))
        np.minimum.at(first, group, np.arange(len(x)))
        if len(twice := np.flatnonzero(which != which[first[group]])):
            i, j = int(first[group[twice[0]]]), int(twice[0])
            found = f"image {i} ({SPLITS[which[i]]}) equal to image {j} ({SPLITS[which[j]]})"
            raise wrong(where, "different images in the splits", found, "give equal images to one split")
    order = np.random.RandomState(0).permutation(len(x))
    splits = {name: (x[order[which[order] == i]], y[order[which[order] == i]]) for i, name in enumerate(SPLITS)}
    for name, (_, own) in splits.items():
        if not len(own):
            raise wrong(where, "6 different images at least", f"none for {name}", "give more images")
        if name != "train" and (own < 0).any():
            raise wrong(where, "a class for each image that is not for training", f"one of {name} without", REMEDY)
    if len(lacking := np.setdiff1d(np.arange(y.max() + 1), splits["train"][1])):
        raise wrong(where, "each class in training", f"none of class {lacking[0]}", "give more images, or a split")
    return splits


def levels(where: Path, images: np.ndarray) -> np.ndarray:
    """Images as rows: bytes, or float32 in [0, 1]; colours apart, as (channels, height, width)."""
    shape_of(where, images.shape)
    if images.dtype.kind == "f":
        if images.size and not (images.min() >= 0 and images.max() <= 1):  # neither is true of NaN
            found = f"{images.min():g} to {images.max():g}"
            raise wrong(where, "finite floats in [0, 1]", found, "scale them, or give bytes")
        images = images.astype(np.float32)
    elif images.dtype != np.uint8:
        raise wrong(where, "images of bytes (uint8) or floats in [0, 1]", images.dtype, "convert them")
    if images.ndim == 4:
        images = images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images).reshape(len(images), prod(images.shape[1:]))


def check_labels(where: Path, labels: np.ndarray, n: int) -> None:
    """Labels are n whole numbers, -1 or classes from 0 without a gap."""
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise wrong(where, f"labels ({n}) of whole numbers", f"{labels.dtype} {labels.shape}", REMEDY)
    classes = np.setdiff1d(labels, [-1])
    if not 2 <= len(classes) <= MOST or (classes != np.arange(len(classes))).any():
        found = f"{len(classes)} classes from {min(classes, default=-1)} to {max(classes, default=-1)}"
        raise wrong(where, f"2 to {MOST} classes 0, 1, … without a gap, and -1 for unknown", found, "number them anew")


def given(where: Path, split: np.ndarray, n: int) -> np.ndarray:
    """The place in `SPLITS` of each image's split."""
    if split.shape != (n,) or len(others := np.setdiff1d(split.astype(str), SPLITS)):
        found = f"{split.shape}" if split.shape != (n,) else repr(str(others[0]))
        raise wrong(where, f"split ({n}) of the words {', '.join(SPLITS)}", found, REMEDY)
    return np.array([SPLITS.index(word) for word in split.astype(str)])
