"""Small files of the true formats of the data sets: each function fills a data root, and returns their checksums."""

import contextlib
import hashlib
import io
import pickle
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from scipy.io import savemat

from bench.config import registry
from bench.data.declarations import DataError, declaration


def digits_of(n, classes=10, first=0):
    """Classes in turn."""
    return first + np.arange(n) % classes


def noise(n, *shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (n, *shape), dtype=np.uint8)


def idx_images(n, seed=0):
    return np.array([0x803, n, 28, 28], dtype=">u4").tobytes() + noise(n, 28, 28, seed=seed).tobytes()


def idx_labels(n):
    return np.array([0x801, n], dtype=">u4").tobytes() + digits_of(n).astype(np.uint8).tobytes()


MNIST = {
    "train-images-idx3-ubyte": idx_images(60),
    "train-labels-idx1-ubyte": idx_labels(60),
    "t10k-images-idx3-ubyte": idx_images(20, seed=1),
    "t10k-labels-idx1-ubyte": idx_labels(20),
}


def put(folder, files, algorithm="md5"):
    """Write files, and return their checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name: hashlib.new(algorithm, content).hexdigest() for name, content in files.items()}


def mnist(root):
    return put(root / "MNIST/raw", MNIST, "sha256")


def fashion_mnist(root):
    return put(root / "FashionMNIST/raw", MNIST, "sha256")


def cifar10(root):
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    files = {}
    for seed, name in enumerate(names):
        content = {
            b"batch_label": name.encode(),
            b"data": noise(20, 3072, seed=seed),
            b"labels": digits_of(20).tolist(),
        }
        files[name] = pickle.dumps(content, protocol=2)
    return put(root / "cifar-10-batches-py", files)


def matlab(**arrays):
    file = io.BytesIO()
    savemat(file, arrays)
    return b"MATLAB 5.0 MAT-file".ljust(116) + file.getvalue()[116:]  # without the time, or no two would be the same


def svhn_arrays():
    """Images (32, 32, 3, n) with a pixel that never changes, and classes 1 to 10, where 10 means 0."""
    arrays = {}
    for seed, (part, n) in enumerate({"train": 60, "test": 20, "extra": 30}.items()):
        x = noise(32, 32, 3, n, seed=seed)
        x[5, 7, 2] = 9
        arrays[part] = x, digits_of(n, first=1).astype(np.uint8)[:, None]
    return arrays


def svhn(root):
    return put(root / "SVHN", {f"{part}_32x32.mat": matlab(X=x, y=y) for part, (x, y) in svhn_arrays().items()})


def tfd_arrays(n=60):
    rng = np.random.RandomState(0)
    folds = np.stack([np.r_[np.zeros(20), rng.permutation(np.repeat([1, 2, 3], [26, 6, 8]))] for _ in range(5)], 1)
    return {
        "images": noise(n, 48, 48),
        "labs_ex": np.r_[np.full(20, -1), np.arange(40) % 7 + 1].astype(np.int16)[:, None],
        "labs_id": np.arange(n)[:, None],
        "folds": folds.astype(np.uint8),
    }


def tfd(root):
    return put(root / "TFD", {"TFD_48x48.mat": matlab(**tfd_arrays())}, "sha256")


def digits(root):
    """They come with scikit-learn, wherever the root is."""
    root.mkdir(parents=True, exist_ok=True)
    return {}


def arrays(root):
    root.mkdir(parents=True, exist_ok=True)
    np.savez(root / "own.npz", images=noise(60, 12, 9), labels=digits_of(60, 3))
    return {}


def folder(root):
    for i, image in enumerate(noise(30, 9, 8, 3)):
        (root / f"own/class{i % 3}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / f"own/class{i % 3}/{i}.png")
    return {}


# Data sets that are nothing without options, and more than one thing with them.
SPECS = {
    "arrays": [{"arrays": "own.npz"}],
    "folder": [{"folder": "own"}],
    "svhn": ["svhn", {"svhn": {"extra": False}}],
    "tfd": ["tfd", {"tfd": {"fold": 4}}],
}


@cache
def kind(name):
    """The files of a data set: "pinned" by checksums that somebody publishes, "free" of them, or "none"."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        with contextlib.suppress(Exception):  # its own tests say why
            write(name, root)
            if not any(path.is_file() for path in root.rglob("*")):
                return "none"  # they are made, or come with a library
    try:
        return "pinned" if declaration(name, "/no/such/root").checksums else "free"
    except DataError:
        return "free"


def write(name, root):
    """The small files of a data set: by this module, else by its own function `write_small(root)`."""
    own = globals().get(name)
    if own is None:
        module = sys.modules[registry.load("datasets", name).__module__]
        assert hasattr(module, "write_small"), (
            f"{module.__name__} has no small files to be tested on: define there `write_small(root)`, which fills the "
            "folder `root` with some files of the true format and returns their checksums by name"
        )
        root.mkdir(parents=True, exist_ok=True)
        own = module.write_small
    return own(root)
