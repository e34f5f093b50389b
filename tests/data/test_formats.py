"""Data files: every damage is caught and named, and the true files hold what they always held."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from bench.data import datasets, idx, labelled_subsets
from bench.data.datasets import DataError, labelled_subset, load
from bench.data.svhn import file as svhn_file
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
    "empty": (IMAGES, lambda c: b"", "an empty file"),
    "truncated": (IMAGES, lambda c: c[:-1], "bytes, as its header says, found 47,055"),
    "cut within the header": (IMAGES, lambda c: c[:9], "magic number"),
    "too long": (LABELS, lambda c: c + b"\0", "found 69"),
    "one bit flipped": (IMAGES, lambda c: c[:500] + bytes([c[500] ^ 1]) + c[501:], "content of sha256"),
    "wrong magic": (LABELS, lambda c: b"\0\0\x0d" + c[3:], "the magic number 00 00 08 01"),
    "class 10": (LABELS, lambda c: c[:-1] + b"\x0a", "classes 0 to 9, found class 10"),
    "wrong image size": (IMAGES, lambda c: c[:11] + b"\x1d" + c[12:], "28 x 28 pixels, found 29 x 28"),
    "labels renamed to images": (IMAGES, lambda c: SMALL[LABELS], "the magic number 00 00 08 03"),
    "test images renamed": (IMAGES, lambda c: SMALL["t10k-images-idx3-ubyte"], "that of t10k-images-idx3-ubyte"),
    "HTML": (IMAGES, lambda c: b"<!DOCTYPE html><html>404</html>", "an HTML or XML page"),
    "still compressed": (IMAGES, gzip.compress, "a gzip archive"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(mnist, damage):
    folder, read = mnist
    name, spoil, found = DAMAGES[damage]
    (folder / name).write_bytes(spoil(SMALL[name]))
    with pytest.raises(DataError, match=names_file(name)) as error:
        read()
    assert found in str(error.value)
    assert "delete it" in str(error.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<html>Not Found</html>", "an HTML or XML page"),
        (b"", "an empty file"),
        (gzip.compress(SMALL[LABELS])[:-9], "a gzip archive"),
        (gzip.compress(SMALL[LABELS])[:20] + b"\xff" * 9 + gzip.compress(SMALL[LABELS])[29:], "a gzip archive"),
    ],
    ids=["a page", "empty", "cut off", "overwritten"],  # not the bytes: an archive holds the time
)
def test_a_damaged_archive_is_named(mnist, content, found):
    folder, read = mnist
    (folder / LABELS).unlink()
    (folder / f"{LABELS}.gz").write_bytes(content)
    with pytest.raises(DataError, match=names_file(f"{LABELS}.gz")) as error:
        read()
    assert found in str(error.value)


@st.composite
def damaged(draw):
    """A file's name and its content after bit flips, a cut, or foreign bytes."""
    name = draw(st.sampled_from(list(SMALL)))
    content = bytearray(SMALL[name])
    place = draw(st.integers(0, 40) | st.integers(0, len(content) - 1)) % len(content)  # the header, mostly
    match draw(st.sampled_from(["flip", "cut", "insert", "overwrite"])):
        case "flip":
            content[place] ^= 1 << draw(st.integers(0, 7))
        case "cut":
            del content[place:]
        case "insert":
            content[place:place] = draw(st.binary(min_size=1, max_size=20))
        case "overwrite":
            foreign = draw(st.binary(min_size=1, max_size=20))
            content[place : place + len(foreign)] = foreign
    return name, bytes(content)


fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(damaged())
def test_any_damage_is_a_data_error(tmp_path, case):
    name, content = case
    (tmp_path / name).write_bytes(content)
    if content == SMALL[name]:  # overwritten by itself
        return
    with pytest.raises(DataError, match=names_file(name)):
        idx.values(tmp_path, name, PINS)


@fuzz
@given(damaged())
def test_the_structure_alone_admits_valid_arrays_only(case):
    """Without the checksum's help: images are 28 x 28, classes 0 to 9, or it is an error."""
    name, content = case
    dimensions = 3 if "images" in name else 1
    try:
        values = idx.parse(Path(name), content, dimensions)
    except DataError:
        return
    assert values.shape[1:] == ((784,) if dimensions == 3 else ())
    assert len(content) == 4 + 4 * dimensions + values.size
    assert dimensions == 3 or values.max(initial=0) <= 9


@real_mnist
def test_the_real_mnist():
    dataset = load("mnist")
    found = {split: content_of(getattr(dataset, split))[:16] for split in SPLITS}
    assert [len(getattr(dataset, split).y) for split in SPLITS] == [50_000, 10_000, 10_000]
    assert dataset.train.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.test.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert found == {"train": "92007e805b574be8", "validation": "a10bc9e78462e976", "test": "8c26786d4955bfbe"}
    for count in (100, 1000):
        stored = labelled_subsets.read(labelled_subsets.FOLDER / f"mnist-{count}.json")
        assert stored["labels_sha256"] == labelled_subsets.labels_digest(dataset.train.y.numpy())
        assert labelled_subset(dataset.train.y, count, 7, 10).tolist() == stored["draws"][7]


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
        == datasets.digest("digits")
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


def test_svhn_with_classes_out_of_range_is_refused(svhn, tmp_path):
    path = tmp_path / "x.mat"
    for content in ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.uint8([[0], [1]])}, {"X": np.zeros((2, 3))}):
        savemat(path, content)
        with pytest.raises(DataError, match=names_file("x.mat")):
            svhn_file(path, hashlib.md5(path.read_bytes()).hexdigest())


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
    assert dataset.digest == datasets.digest("tfd", root)


def test_a_wrong_tfd_file_is_named(tfd):
    root, arrays = tfd
    path = root / "TFD/TFD_48x48.mat"
    before = datasets.digest("tfd", root)
    wrongs = [
        arrays | {"images": arrays["images"][:, :24]},
        arrays | {"images": arrays["images"] / 255},
        arrays | {"folds": arrays["folds"] + 3},
        arrays | {"folds": arrays["folds"][:, :2]},
        arrays | {"labs_ex": arrays["labs_ex"] + 1},
        {key: value for key, value in arrays.items() if key != "labs_id"},
    ]
    for content in wrongs:
        savemat(path, content)
        with pytest.raises(DataError, match=names_file(path.name)):
            load("tfd", root)
        assert datasets.digest("tfd", root) != before
    path.write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"an HTML .*ask the owners"):
        load("tfd", root)
    path.unlink()
    for ask in (load, datasets.digest):
        with pytest.raises(DataError, match=r"TFD_48x48\.mat.*ask the owners.*DATA_ROOT"):
            ask("tfd", root)
