"""EMNIST: 280,000 handwritten digits, or 145,600 letters, cut out as MNIST's (Cohen et al., 2017)."""

import gzip
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal
from zipfile import ZipFile

from bench.data.declarations import Arrays, Declaration
from bench.data.idx import last_validate, parse
from bench.data.verified_files import Download, fetch, verify

ARCHIVE = Download(
    ("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",), "58c8d27c78d21e728a6bc7b3cc06412e", ("gzip.zip",)
)
SPLITS = {  # classes, the first as the files count them, and images of each split
    "digits": (10, 0, {"train": 200_000, "validation": 40_000, "test": 40_000}),
    "letters": (26, 1, {"train": 104_000, "validation": 20_800, "test": 20_800}),
}


def declare(root: Path, split: Literal["digits", "letters"] = "digits") -> Declaration:
    """`split`: "digits", or "letters" in 26 classes; of the archive in `EMNIST/raw`, whose checksum is published.

    Validation: the last portion of the training images, as many as there are test images (the authors' advice).
    """
    classes, _, sizes = SPLITS[split]
    return Declaration(
        shape=(1, 28, 28), classes=classes, sizes=sizes, large=True, cite=("cohen2017",),
        read=partial(read, root / "EMNIST/raw", split), checksums={"gzip.zip": ARCHIVE.md5},
    )  # fmt: skip


def read(folder: Path, split: str, checksums: Mapping[str, str]) -> Arrays:
    """The three splits."""
    fetch(folder, [ARCHIVE])
    path, (_, first, sizes) = folder / "gzip.zip", SPLITS[split]
    verify(path, checksums["gzip.zip"])
    found = {}
    with ZipFile(path) as archive:
        for part in ("train", "test"):
            images, labels = (
                parse(gzip.decompress(archive.read(f"gzip/emnist-{split}-{part}-{name}-ubyte.gz")))
                for name in ("images-idx3", "labels-idx1")
            )
            # The files hold columns where others hold rows.
            upright = images.reshape(-1, 28, 28).transpose(0, 2, 1).reshape(-1, 784)
            found[part] = upright, labels - first
    return last_validate(*found["train"], sizes["test"]) | {"test": found["test"]}
