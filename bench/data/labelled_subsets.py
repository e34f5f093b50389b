"""The labelled subsets of semi-supervised runs: fixed, balanced draws, kept in `config/labels`."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from bench import SHARE
from bench.config.streams import stream
from bench.data.verified_files import DataError

FOLDER = SHARE / "config/labels"
DRAWS = 10


def labelled_subset(
    y: Int64[Tensor, " n"], count: int | str, draw: int, classes: int, folder: Path = FOLDER
) -> Int64[Tensor, " labelled"]:
    """The indices, ascending, of `count` labelled training images, equally many of each class.

    `count` is a number, 0, or "all": every image whose class is known (y ≥ 0). A file of
    `folder` made for these very classes y and this count gives its first ten draws; other
    draws, and other data, follow `balanced_draw`, the rule the files were made by.

    Raises:
        DataError: `count` is not a multiple of `classes` or asks for more than there are; a damaged file.
    """
    if count == "all":
        return (y >= 0).nonzero().flatten()
    if isinstance(count, str) or count < 0 or draw < 0 or count % classes:
        raise DataError(f"draw {draw} of {count} labels: {classes} classes need 'all', 0 or a multiple of {classes}")
    known = y.cpu().numpy()
    digest = labels_digest(known)
    for path in sorted(folder.glob(f"*-{count}.json")):
        content = read(path)
        if content["labels_sha256"] == digest and draw < len(content["draws"]):
            return torch.tensor(content["draws"][draw], device=y.device)
    return torch.tensor(balanced_draw(known, count, draw, classes), dtype=torch.int64, device=y.device)


def balanced_draw(y: np.ndarray, count: int, draw: int, classes: int) -> list[int]:
    """`count` / `classes` images of each class: the first of a permutation of the class, ascending.

    The permutations come from numpy's legacy generator, whose stream is frozen for good
    (NEP 19), seeded by stream (draw, "labels"). They do not depend on `count`: the subset of
    100 of a draw lies within its subset of 1,000.
    """
    rng = np.random.RandomState(stream(draw, "labels") % 2**32)
    subset = []
    for label in range(classes):
        members = np.flatnonzero(y == label)
        if len(members) < count // classes:
            raise DataError(f"{count} labels need {count // classes} images of class {label}, found {len(members)}")
        subset += rng.permutation(members)[: count // classes].tolist()
    return sorted(subset)


def labels_digest(y: np.ndarray) -> str:
    """Sha-256 of the classes as little-endian 64-bit integers: which data a file of draws was made for."""
    return hashlib.sha256(y.astype("<i8").tobytes()).hexdigest()


def seal_of(content: dict) -> str:
    """Sha-256 of a file's content but this sum, in JSON without spaces."""
    body = {key: content[key] for key in ("dataset", "count", "labels_sha256", "draws")}
    return hashlib.sha256(json.dumps(body, separators=(",", ":")).encode()).hexdigest()


def read(path: Path) -> dict:
    """The verified content of a file of draws.

    Raises:
        DataError: the file is not as it was written.
    """
    remedy = "restore it from the repository (git checkout)"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        expected, found = content["sha256"], seal_of(content)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: expected an index file of labelled subsets, found {error!r}; {remedy}") from None
    if expected != found:
        raise DataError(f"{path}: expected content of sha256 {expected}, found {found}; {remedy}")
    return content


def write(path: Path, dataset: str, y: np.ndarray, count: int, classes: int) -> None:
    """Write the file of ten draws, one line each."""
    draws = [balanced_draw(y, count, draw, classes) for draw in range(DRAWS)]
    content = {"dataset": dataset, "count": count, "labels_sha256": labels_digest(y), "draws": draws}
    lines = [f'  "{key}": {json.dumps(value)},' for key, value in content.items() if key != "draws"]
    rows = ",\n".join(f"    {json.dumps(row, separators=(',', ':'))}" for row in draws)
    end = f'  "sha256": "{seal_of(content)}"'
    text = "\n".join(["{", *lines, f'  "draws": [\n{rows}\n  ],', end, "}\n"])
    path.write_text(text, encoding="utf-8")
