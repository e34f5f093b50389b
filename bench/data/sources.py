"""Where the images come from: the files, layout and splits of each data set.

Free of torch, so that whoever only needs `digest` starts fast.
"""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import prod
from pathlib import Path

import numpy as np

from bench.data.verified_files import AGAIN, WHERE, DataError, checksum, download, idx, kind, matlab, root_folder, wrong

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]  # of each split: bytes (n, pixels), classes (n)


def digest(name: str, root: str | Path | None = None, pins: dict[str, str] | None = None) -> str:
    """The version of a data set's content, sha-256, without loading it.

    It is that of the checksums which the files must have to be loaded at all; for tfd, which has
    none, the file's own.

    Raises:
        DataError: an unknown name; tfd, and its file is missing.
    """
    if name not in NAMES:
        raise DataError(f"no data set {name!r}; there are {', '.join(NAMES)}")
    pins = NAMES[name].pins | (pins or {})
    if not pins:
        pins = {TFD_FILE: checksum(tfd_file(root_folder(root)))}
    lines = [f"{file} {pin}\n" for file, pin in sorted(pins.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# --- digits -----------------------------------------------------------------------------------------------

DIGITS_SHA256 = {  # of the table as bytes
    "digits.csv.gz": "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2",
}


def read_digits(root: Path, pins: dict[str, str]) -> Arrays:
    """The 1,797 digits bundled with scikit-learn: 1,197 train, 300 validate, 300 test (Alpaydin & Kaynak, 1998).

    The source is ordered by writer, so no split may be a prefix: the images are dealt out by one
    fixed permutation, blind to class and writer, of numpy's legacy generator with seed 0, whose stream is
    frozen for good (NEP 19).
    """
    # Not load_digits: importing scikit-learn takes longer than a quick training.
    package = find_spec("sklearn")
    path = Path(package.origin).parent / "datasets/data/digits.csv.gz" if package else Path("sklearn")
    remedy = "reinstall scikit-learn, which bundles it"
    try:
        table = np.loadtxt(path, delimiter=",").astype(np.uint8)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise wrong(path, "a table of digits", repr(error), remedy) from error
    found = hashlib.sha256(table.tobytes()).hexdigest()
    if found != pins[path.name]:
        raise wrong(path, f"content of sha256 {pins[path.name]}", found, remedy)
    table = table[np.random.RandomState(0).permutation(len(table))]
    x, y = table[:, :-1].copy(), table[:, -1].astype(np.int64)
    bounds = {"train": slice(1197), "validation": slice(1197, 1497), "test": slice(1497, None)}
    return {split: (x[bound], y[bound]) for split, bound in bounds.items()}


# --- MNIST ------------------------------------------------------------------------------------------------

MNIST_SHA256 = {  # of the uncompressed files
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read_mnist(root: Path, pins: dict[str, str]) -> Arrays:
    """MNIST's 70,000 digits, from `MNIST/raw`, uncompressed or .gz (LeCun et al., 1998).

    Training: the first 50,000 images of the training file; validation: its last 10,000.
    """
    folder = root / "MNIST/raw"

    def missing():
        return [name for name in MNIST_SHA256 if not any((folder / f).exists() for f in (name, f"{name}.gz"))]

    def fetch(temporary):
        from torchvision.datasets import MNIST

        MNIST(temporary, download=True)
        return temporary / "MNIST/raw"

    if missing():
        download(folder, missing, fetch)
    x, y, test_x, test_y = (idx(folder, name, pins) for name in MNIST_SHA256)
    return last_validates(x, y) | {"test": (test_x, test_y)}


def last_validates(x: np.ndarray, y: np.ndarray) -> Arrays:
    """The last 10,000 images validate (of a small file, the last sixth), the others train."""
    cut = len(x) - min(10_000, len(x) // 6)
    return {"train": (x[:cut], y[:cut]), "validation": (x[cut:], y[cut:])}


# --- SVHN -------------------------------------------------------------------------------------------------

SVHN_MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    "extra_32x32.mat": "a93ce644f1a588dc4d68dda5feec44a7",
}


def read_svhn(root: Path, pins: dict[str, str], extra: bool) -> Arrays:
    """Street View House Numbers, cropped, from `SVHN` or the root itself (Netzer et al., 2011).

    Training: all but the last 10,000 images of the training file, then, if `extra`, the 531,131
    extra images; validation: those 10,000. A suffix and not a draw, for the digits of one house
    stand next to each other.
    """
    folder = root if (root / "train_32x32.mat").exists() else root / "SVHN"
    files = [file for file in SVHN_MD5 if extra or not file.startswith("extra")]

    def missing():
        return [file for file in files if not (folder / file).exists()]

    def fetch(temporary):
        from torchvision.datasets import SVHN
        from torchvision.datasets.utils import download_url

        for url, file, _ in SVHN.split_list.values():
            if file in missing():
                download_url(url, temporary, file, pins[file])
        return temporary

    if missing():
        download(folder, missing, fetch)
    arrays = {file.split("_")[0]: svhn_file(folder / file, pins[file]) for file in files}
    splits = last_validates(*arrays["train"]) | {"test": arrays["test"]}
    if extra:
        pool = zip(splits["train"], arrays.pop("extra"), strict=True)
        splits["train"] = tuple(np.concatenate(pair) for pair in pool)
    return splits


def svhn_file(path: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """A verified .mat file of images X (32, 32, 3, n) and classes y (n, 1), where 10 means the digit 0."""
    if (found := checksum(path, "md5")) != md5:
        with path.open("rb") as file:
            raise wrong(path, f"content of md5 {md5}", f"{found}, {kind(file.read(64))}", AGAIN)
    content = matlab(path, ("X", "y"), AGAIN)
    x, y = content["X"], content["y"].astype(np.int64).ravel()
    if x.dtype != np.uint8 or x.shape != (32, 32, 3, len(y)):
        raise wrong(path, f"X of bytes (32, 32, 3, {len(y)})", f"{x.dtype} {x.shape}", AGAIN)
    if len(y) and not 1 <= y.min() <= y.max() <= 10:
        raise wrong(path, "classes 1 to 10", f"{y.min()} to {y.max()}", AGAIN)
    images = np.ascontiguousarray(x.transpose(3, 2, 0, 1))  # (n, 3, 32, 32)
    return images.reshape(len(y), -1), y % 10


# --- Toronto Face Database --------------------------------------------------------------------------------

TFD_FILE = "TFD_48x48.mat"
TFD_REMEDY = f"ask the owners of the Toronto Face Database for it, whose licence forbids to pass it on; {WHERE}"


def tfd_file(root: Path) -> Path:
    """Where the file lies: in `TFD` or the root itself.

    Raises:
        DataError: in neither.
    """
    for path in (root / "TFD" / TFD_FILE, root / TFD_FILE):
        if path.exists():
            return path
    raise wrong(root / "TFD" / TFD_FILE, "the file", "none", TFD_REMEDY)


def read_tfd(root: Path, pins: dict[str, str], fold: int) -> Arrays:
    """The Toronto Face Database's 48 x 48 faces in seven expressions (Susskind et al., 2010).

    `folds` (n, 5) says of each image and official fold: 0 unlabelled, 1 train, 2 validate, 3
    test. The unlabelled images train too, with class -1. `labs_ex` are classes 1 to 7.
    """
    path = tfd_file(root)
    if TFD_FILE in pins and (found := checksum(path)) != pins[TFD_FILE]:
        raise wrong(path, f"content of sha256 {pins[TFD_FILE]}", found, TFD_REMEDY)
    content = matlab(path, ("images", "labs_ex", "labs_id", "folds"), TFD_REMEDY)
    images, folds = content["images"], content["folds"]
    y = content["labs_ex"].astype(np.int64).ravel() - 1
    n = len(y)
    if images.shape != (n, 48, 48) or folds.shape != (n, 5) or content["labs_id"].size != n:
        found = f"images {images.shape}, labs_id {content['labs_id'].shape}, folds {folds.shape}"
        raise wrong(path, f"images ({n}, 48, 48), labs_id ({n}, 1) and folds ({n}, 5)", found, TFD_REMEDY)
    with np.errstate(invalid="ignore"):
        x = images.astype(np.uint8)
    if (x != images).any():
        raise wrong(path, "whole pixels from 0 to 255", f"{images.min()} to {images.max()}", TFD_REMEDY)
    if fold not in range(5):
        raise DataError(f"tfd has the folds 0 to 4, not {fold}")
    part = folds[:, fold]
    if not np.isin(part, (0, 1, 2, 3)).all() or not ((y >= 0) & (y < 7))[part > 0].all():
        raise wrong(path, "folds of 0 to 3 and labelled expressions of 1 to 7", "others", TFD_REMEDY)
    y[part == 0] = -1
    which = {"train": part <= 1, "validation": part == 2, "test": part == 3}
    return {split: (x[mask].reshape(-1, 48 * 48), y[mask]) for split, mask in which.items()}


# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A data set as it comes: what its images are, and how they are read.

    `shape` is (channels, height, width), `white` the byte that is white, `large` whether its
    floats would fill the memory, `pins` the checksums of its files, `options` the defaults of
    `read`'s further arguments, `cite` keys of `references.bib`.
    """

    read: Callable[..., Arrays]
    shape: tuple[int, int, int]
    classes: int
    cite: tuple[str, ...]
    white: int = 255
    large: bool = False
    pins: dict[str, str] = field(default_factory=dict)
    options: dict[str, bool | int] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        """Channels x height x width."""
        return prod(self.shape)


NAMES = {
    "digits": Source(read_digits, (1, 8, 8), 10, ("alpaydin1998",), white=16, pins=DIGITS_SHA256),
    "mnist": Source(read_mnist, (1, 28, 28), 10, ("lecun1998",), pins=MNIST_SHA256),
    "svhn": Source(read_svhn, (3, 32, 32), 10, ("netzer2011",), large=True, pins=SVHN_MD5, options={"extra": True}),
    "tfd": Source(read_tfd, (1, 48, 48), 7, ("susskind2010",), large=True, options={"fold": 0}),
}
