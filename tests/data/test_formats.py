"""Data files: every damage is caught and named, and the true files hold what they always held."""

import gzip
import hashlib
import os

import numpy as np
import pytest
import torch
from scipy.io import savemat

from bench.data import idx
from bench.data.datasets import DataError, load
from bench.data.declarations import declaration
from bench.data.labelled_subsets import labelled_subset
from bench.data.verified_files import root_folder
from tests.support import small_data

REAL = root_folder() / "MNIST/raw"
real_mnist = pytest.mark.skipif(
    not REAL.is_dir(),
    reason="the MNIST files are not in the data root; set DATA_ROOT to the folder that holds them",
)
SPLITS = ("train", "validation", "test")
ONE_LINE = r"\A[^\n]*{}[^\n]*expected [^\n]+, found [^\n]+; [^\n]+\Z"


def names_file(name):
    """What a DataError about the file must look like."""
    return ONE_LINE.format(name.replace(".", r"\."))


def content_of(split):
    return hashlib.sha256(split.x[:].numpy().tobytes() + split.y.numpy().tobytes()).hexdigest()


SMALL = small_data.MNIST
PINS = {name: hashlib.sha256(content).hexdigest() for name, content in SMALL.items()}
IMAGES, LABELS = list(SMALL)[:2]


@pytest.fixture
def mnist(tmp_path):
    """A data root with a small MNIST, and the function that loads it."""
    small_data.mnist(tmp_path)
    return tmp_path / "MNIST/raw", lambda **options: load("mnist", tmp_path, pins=PINS, **options)


def test_mnist_is_read_as_it_was_written(mnist):
    _, read = mnist
    dataset = read()
    assert (dataset.shape, dataset.pixels, dataset.classes) == ((1, 28, 28), 784, 10)
    assert [len(getattr(dataset, split).x) for split in SPLITS] == [50, 10, 20]
    pixels = np.frombuffer(SMALL[IMAGES], np.uint8, offset=16).reshape(60, 784)
    torch.testing.assert_close(torch.cat([dataset.train.x, dataset.validation.x]), torch.tensor(pixels / 255).float())
    assert dataset.train.y.tolist() == [i % 10 for i in range(50)]


def test_compressed_files_will_do(mnist):
    folder, read = mnist
    whole = read()
    for name, content in SMALL.items():
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    assert content_of(read().train) == content_of(whole.train)


DAMAGES = {
    "empty": (IMAGES, lambda c: b""),
    "truncated": (IMAGES, lambda c: c[:-1]),
    "too long": (LABELS, lambda c: c + b"\0"),
    "one bit flipped": (IMAGES, lambda c: c[:500] + bytes([c[500] ^ 1]) + c[501:]),
    "test images renamed": (IMAGES, lambda c: SMALL["t10k-images-idx3-ubyte"]),
    "HTML": (IMAGES, lambda c: b"<!DOCTYPE html><html>404</html>"),
    "still compressed": (IMAGES, gzip.compress),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(mnist, damage):
    folder, read = mnist
    name, spoil = DAMAGES[damage]
    (folder / name).write_bytes(spoil(SMALL[name]))
    with pytest.raises(DataError, match=names_file(name)) as error:
        read()
    assert "content of sha256" in str(error.value)
    assert "delete it" in str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<html>Not Found</html>", "a readable gzip archive"),
        (b"", "content of sha256"),
        (gzip.compress(SMALL[LABELS])[:-9], "a readable gzip archive"),
        (gzip.compress(SMALL[LABELS])[:20] + b"\xff" * 9 + gzip.compress(SMALL[LABELS])[29:], "gzip archive"),
        (gzip.compress(SMALL[IMAGES]), "content of sha256"),
    ],
    ids=["a page", "empty", "cut off", "overwritten", "another"],  # not the bytes: an archive holds the time
)
def test_a_damaged_archive_is_named(mnist, content, expected):
    folder, read = mnist
    (folder / LABELS).unlink()
    (folder / f"{LABELS}.gz").write_bytes(content)
    with pytest.raises(DataError, match=names_file(f"{LABELS}.gz")) as error:
        read()
    assert expected in str(error.value)


@real_mnist
def test_the_real_mnist():
    dataset = load("mnist")
    found = {split: content_of(getattr(dataset, split))[:16] for split in SPLITS}
    assert [len(getattr(dataset, split).y) for split in SPLITS] == [50_000, 10_000, 10_000]
    assert dataset.train.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.test.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert found == {"train": "92007e805b574be8", "validation": "a10bc9e78462e976", "test": "8c26786d4955bfbe"}


@real_mnist
def test_one_flipped_bit_in_the_real_mnist(tmp_path):
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for name in idx.FILES:
        os.symlink((REAL / name).absolute(), tmp_path / "MNIST/raw" / name)
    victim = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte"
    content = bytearray(victim.read_bytes())
    content[4_000_000] ^= 8
    victim.unlink()
    victim.write_bytes(content)
    with pytest.raises(DataError, match=names_file(victim.name)):
        load("mnist", tmp_path)


def test_the_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    dataset = load("digits")
    rows = torch.cat([torch.cat([s.x * 16, s.y[:, None]], 1) for s in (getattr(dataset, name) for name in SPLITS)])
    bundled = load_digits()
    expected = np.column_stack([bundled.data, bundled.target])
    assert sorted(rows.tolist()) == sorted(expected.tolist())
    assert len(np.unique(expected, axis=0)) == 1797  # all differ, so the splits are disjoint
    # Neither split is a run of the source, which is ordered by writer.
    place = {tuple(row): i for i, row in enumerate(expected.tolist())}
    assert np.median(np.abs(np.diff([place[tuple(row)] for row in rows.tolist()]))) > 300


def test_the_digits_splits_are_fixed():
    dataset = load("digits")
    assert (dataset.shape, dataset.pixels, dataset.classes, dataset.name) == ((1, 8, 8), 64, 10, "digits")
    assert [len(getattr(dataset, split).x) for split in SPLITS] == [1197, 300, 300]
    found = {split: content_of(getattr(dataset, split))[:16] for split in SPLITS}
    assert found == {"train": "95f0f553be90ad6f", "validation": "962d111e5e846cef", "test": "4f9bf1b80481efdf"}
    assert (
        dataset.digest
        == declaration("digits").digest
        == "925ae91d5706d51ba5e2e98cd4817c2eaeb5e52a8c8b4d83de6c875929dcfe9a"
    )


def test_other_digits_are_refused():
    with pytest.raises(DataError, match=names_file("digits.csv.gz")):
        load("digits", pins={"digits.csv.gz": "0" * 64})


@pytest.fixture
def svhn(tmp_path):
    """A data root with a small SVHN, its arrays, and the function that loads it."""
    pins = small_data.svhn(tmp_path)

    def read(normalisation="none", **options):
        return load({"svhn": options}, tmp_path, normalisation, pins)

    return tmp_path / "SVHN", small_data.svhn_arrays(), read


def test_svhn_is_read_as_it_was_written(svhn):
    _, arrays, read = svhn
    dataset = read()
    assert [len(getattr(dataset, split).x) for split in SPLITS] == [80, 10, 20]
    assert len(read(extra=False).train.y) == 50
    x, y = arrays["extra"]
    image = dataset.train.x[torch.tensor([53])].view(3, 32, 32)
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), x[..., 3] / 255, rtol=1e-6)
    assert dataset.train.y[50:].tolist() == [label % 10 for label in y.ravel()]
    assert {0, 10} & set(arrays["train"][1].ravel().tolist()) == {10}
    assert dataset.train.y.min() == 0
    assert dataset.train.x.shape == (80, 3072)


def test_per_pixel_normalisation_is_that_of_the_training_images_and_is_undone(svhn):
    _, _, read = svhn
    dataset, plain = read(normalisation="per_pixel"), read()
    constant = plain.train.x[:].var(0) < 1e-9
    assert constant.view(3, 32, 32).nonzero().tolist() == [[2, 5, 7]]
    x = dataset.train.x[:]
    torch.testing.assert_close(x.mean(0), torch.zeros(3072), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.var(0, correction=0), (~constant).float(), atol=1e-4, rtol=0)
    expected = (plain.test.x[:] - plain.train.x[:].mean(0)) / plain.train.x[:].std(0, correction=0).masked_fill(
        constant, 1
    )
    torch.testing.assert_close(dataset.test.x[:], expected, atol=1e-4, rtol=1e-4)
    for split in SPLITS:
        index = torch.tensor([3, 1])
        pixels = dataset.to_pixels(getattr(dataset, split).x[index])
        torch.testing.assert_close(pixels, getattr(plain, split).x[index], atol=1e-5, rtol=0)


def test_images_are_indexed_like_a_tensor(svhn):
    _, _, read = svhn
    images = read(normalisation="per_pixel").train.x
    whole = images[:]
    assert whole.dtype == torch.float32
    assert images.levels.dtype == torch.uint8
    for index in (torch.tensor([4, 4, 0]), slice(3, 9), 5, torch.arange(80) % 2 == 0):
        torch.testing.assert_close(images[index], whole[index])
    assert images.device == whole.device
    assert torch.equal(images.to("cpu")[:], whole)


@pytest.mark.parametrize(
    "spoil", [lambda c: c[:-40], lambda c: b"", lambda c: c[:900] + b"~" + c[901:], lambda c: b"<p>"]
)
def test_a_damaged_svhn_file_is_named(svhn, spoil):
    folder, _, read = svhn
    read()
    file = folder / "extra_32x32.mat"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(DataError, match=names_file(file.name)):
        read()
    read(extra=False)


@pytest.fixture
def tfd(tmp_path):
    """A data root with a file in the format of the Toronto Face Database, and its arrays."""
    small_data.tfd(tmp_path)
    return tmp_path, small_data.tfd_arrays()


@pytest.mark.parametrize("fold", [0, 4])
def test_tfd_follows_its_official_folds(tfd, fold):
    root, arrays = tfd
    dataset = load({"tfd": fold}, root, "per_pixel")
    assert [len(getattr(dataset, split).x) for split in SPLITS] == [46, 6, 8]
    held = arrays["folds"][:, fold] == 3
    expected = torch.tensor(arrays["images"][held].reshape(8, -1) / 255).float()
    torch.testing.assert_close(dataset.to_pixels(dataset.test.x[:]), expected, atol=1e-5, rtol=0)
    assert dataset.test.y.tolist() == (arrays["labs_ex"].ravel()[held] - 1).tolist()
    assert (dataset.train.y == -1).sum() == 20
    subset = labelled_subset(dataset.train.y, 7, 0, 7)
    assert dataset.train.y[subset].sort().values.tolist() == list(range(7))
    assert len(labelled_subset(dataset.train.y, "all", 0, 7)) == 26
    assert dataset.digest == declaration("tfd", root).digest


def test_a_wrong_tfd_file_is_named(tfd):
    root, arrays = tfd
    path = root / "TFD/TFD_48x48.mat"
    before = declaration("tfd", root).digest
    wrongs = [
        arrays | {"images": arrays["images"][:, :24]},
        arrays | {"images": arrays["images"] / 255},
        arrays | {"folds": arrays["folds"] + 3},
        arrays | {"folds": arrays["folds"][:, :2]},
        arrays | {"labs_ex": arrays["labs_ex"] + 1},
        {key: value for key, value in arrays.items() if key != "labs_ex"},
    ]
    for content in wrongs:
        savemat(path, content)
        with pytest.raises(DataError, match=names_file(path.name)):
            load("tfd", root)
        assert declaration("tfd", root).digest != before
    path.write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"expected a MATLAB file .*ask the owners"):
        load("tfd", root)
    path.unlink()
    for ask in (load, lambda *where: declaration(*where).digest):
        with pytest.raises(DataError, match=r"TFD_48x48\.mat.*ask the owners.*DATA_ROOT"):
            ask("tfd", root)
