"""What a data set declares before any of its files is opened, and how a config names one. Free of torch.

A data set is one file of this folder, or an entry point of a package in the group `latentbench.datasets`: a function
`declare(root, option=default, …)` that returns a `Declaration`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np

from bench.config import registry
from bench.config.registry import Spec
from bench.data.verified_files import Absent, DataError, root_folder

__all__ = ["SPLITS", "Absent", "Arrays", "DataError", "Declaration", "as_declared", "declaration"]

SPLITS = ("train", "validation", "test")
Arrays = dict[str, tuple[np.ndarray, np.ndarray]]  # of each split: images (n, pixels), classes (n)


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A data set: what its images are, and how they are read.

    `shape` is (channels, height, width) of an image; of a vector, (1, 1, dimensions). `read` gives the three splits of
    files that have the `checksums` (by name: md5 or sha-256): images as bytes, of which `white` is 1, or as float32 in
    [0, 1]; classes from 0, -1 where unknown. Where nobody published checksums, `found` gives those that the files have;
    what is made and not read has neither. `sizes` counts the images of each split, `smallest_class` those of the rarest
    class in training, if known; `labelled`: every training image has a class. `large`: as floats the images could fill
    the memory. `cite` are keys of `references.bib`.
    """

    shape: tuple[int, int, int]
    classes: int
    read: Callable[[Mapping[str, str]], Arrays]
    checksums: Mapping[str, str] = field(default_factory=dict)
    found: Callable[[], Mapping[str, str]] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    smallest_class: int | None = None
    labelled: bool = True
    white: int = 255
    large: bool = False
    cite: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Channels x height x width."""
        return prod(self.shape)

    @property
    def digest(self) -> str:
        """The version of the content, sha-256: of the checksums that files must have, else of those they have.

        Raises:
            DataError: files without published checksums that are not there.
        """
        pins = self.checksums or (self.found() if self.found else {})
        lines = [f"{name} {pin}\n" for name, pin in sorted(pins.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def declaration(spec: Spec, root: str | Path | None = None) -> Declaration:
    """The declaration of a data set by its name, or its name with options (`bench.config.registry`).

    Raises:
        DataError: no such data set or option; own data that cannot be used.
    """
    try:
        declare, options = registry.bound("datasets", spec)
    except LookupError as error:
        raise DataError(str(error)) from error
    try:
        found = declare(root_folder(root), **options)
        if not isinstance(found, Declaration):
            raise TypeError(f"declare returns {type(found).__name__}, expected a Declaration")
    except (TypeError, LookupError, AttributeError, ArithmeticError) as error:  # of the code, not of the files
        raise broken(spec, error) from error
    return found


def broken(spec: Spec, what: object) -> DataError:
    """The error of a data set that does not do what its declaration says, in one line that names its file."""
    said = f"{type(what).__name__}: {what}" if isinstance(what, BaseException) else what
    return DataError(" ".join(f"{registry.source('datasets', registry.name_of(spec))}: {said}".split()))


def as_declared(spec: Spec, declared: Declaration, arrays: Arrays) -> Arrays:
    """What a data set has read.

    Raises:
        DataError: it is not what the data set declares.
    """
    if not isinstance(arrays, dict) or {*arrays} != {*SPLITS}:
        found = ", ".join(map(str, arrays)) if isinstance(arrays, dict) else type(arrays).__name__
        raise broken(spec, f"read gives {found}, expected a dictionary of {', '.join(SPLITS)}")
    for split, (x, y) in arrays.items():
        if x.ndim != 2 or x.shape[1] != declared.pixels or y.shape != x.shape[:1] or not len(y):
            found = f"images {x.shape} and classes {y.shape} of {split}"
            wanted = f"(n, {declared.pixels}) and (n,), for it declares images {declared.shape}"
            raise broken(spec, f"read gives {found}, expected {wanted}")
        if x.dtype not in (np.uint8, np.float32) or y.dtype != np.int64:
            found = f"images of {x.dtype} and classes of {y.dtype}"
            raise broken(spec, f"read gives {found}, expected uint8 or float32, and int64")
        if not (x.min() >= 0 and x.max() <= declared.white):  # neither is true of NaN
            raise broken(spec, f"read gives images from {x.min()} to {x.max()}, expected 0 to {declared.white} (white)")
        least = -1 if split == SPLITS[0] else 0
        if y.min() < least or y.max() >= declared.classes:
            found = f"classes from {y.min()} to {y.max()} of {split}"
            raise broken(spec, f"read gives {found}, expected {least} to {declared.classes - 1}")
    return arrays
