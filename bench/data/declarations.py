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

__all__ = ["SPLITS", "Absent", "Arrays", "DataError", "Declaration", "declaration", "digest"]

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
    return declare(root_folder(root), **options)


def digest(spec: Spec, root: str | Path | None = None) -> str:
    """The version of a data set's content, without loading it: `Declaration.digest`."""
    return declaration(spec, root).digest
