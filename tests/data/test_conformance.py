"""What every data set promises, the installed ones too, on small files of its true format."""

import contextlib
import hashlib
import os
import pickle
import re
import stat
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.config import registry
from bench.data import datasets, verified_files
from bench.data.datasets import DataError, load
from bench.data.declarations import SPLITS, Declaration, declaration
from tests.support import small_data

NAMES = registry.names("datasets")
CASES = [(name, spec) for name in NAMES for spec in small_data.SPECS.get(name, [name])]
every = pytest.mark.parametrize(("name", "spec"), CASES, ids=[str(spec) for _, spec in CASES])
PINNED = [(name, spec) for name, spec in CASES if small_data.kind(name) == "pinned"]
pinned = pytest.mark.parametrize(("name", "spec"), PINNED, ids=[str(spec) for _, spec in PINNED])


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test here asks a server."""

    monkeypatch.setattr(verified_files, "OFFLINE", True)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def content_of(dataset):
    hashes = {}
    for split in SPLITS:
        x, y = getattr(dataset, split)
        hashes[split] = hashlib.sha256(x[:].numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    return hashes


def files(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


@every
def test_it_is_what_it_declares(name, spec, root):
    pins = small_data.write(name, root)
    declared = declaration(spec, root)
    dataset = load(spec, root, pins=pins)
    assert isinstance(declared, Declaration)
    assert (dataset.name, dataset.shape, dataset.classes) == (name, declared.shape, declared.classes)
    assert len(declared.shape) == 3
    assert set(declared.cite) <= set(dataset.cite)
    for split in SPLITS:
        x, y = getattr(dataset, split)
        assert len(x) == len(y) > 0
        assert x.shape[1] == dataset.pixels == declared.pixels
        pixels = dataset.to_pixels(x[:])
        assert pixels.dtype == torch.float32
        assert 0 <= pixels.min() < pixels.max() <= 1
        assert y.dtype == torch.int64
        assert y.max() < declared.classes
        assert y.min() >= (-1 if split == "train" else 0)
    assert declared.labelled == bool((dataset.train.y >= 0).all())
    known = dataset.train.y[dataset.train.y >= 0]
    assert known.unique().tolist() == list(range(declared.classes))
    assert list(declared.sizes) in ([], list(SPLITS))
    if declared.smallest_class is not None:
        assert declared.smallest_class * declared.classes <= declared.sizes["train"]


@every
def test_splits_are_disjoint_and_fixed(name, spec, root, tmp_path):
    first = load(spec, root, pins=small_data.write(name, root))
    again = load(spec, tmp_path / "again", pins=small_data.write(name, tmp_path / "again"))
    assert content_of(first) == content_of(again)
    rows = [set(map(tuple, getattr(first, split).x[:].tolist())) for split in SPLITS]
    assert not rows[0] & rows[1]
    assert not (rows[0] | rows[1]) & rows[2]


@every
def test_the_test_split_can_be_sealed(name, spec, root):
    dataset = load(spec, root, pins=small_data.write(name, root)).seal()
    with pytest.raises(datasets.TestSplitSealed):
        _ = dataset.test


@every
def test_the_digest_is_of_the_content(name, spec, root, tmp_path):
    pins = small_data.write(name, root)
    dataset = load(spec, root, pins=pins)
    small_data.write(name, tmp_path / "elsewhere")
    assert re.fullmatch("[0-9a-f]{64}", dataset.digest)
    assert dataset.digest == load(spec, tmp_path / "elsewhere", pins=pins).digest
    if small_data.kind(name) == "free":
        assert declaration(spec, root).digest == dataset.digest
        for path in files(root):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        with contextlib.suppress(DataError):  # it may be none any more
            assert declaration(spec, root).digest != dataset.digest
    else:
        assert declaration(spec, "/no/such/root").digest == declaration(spec, root).digest  # that of the true files
        other = dict.fromkeys(pins or declaration(spec, root).checksums, "0" * 64)
        assert declaration_digest(spec, other) != dataset.digest


def declaration_digest(spec, pins):
    return replace(declaration(spec), checksums=pins).digest


@every
def test_an_absent_file_is_named_and_nothing_is_made(name, spec, tmp_path):
    if small_data.kind(name) == "none":
        pytest.skip("no files: they are made, or come with a library")
    for root in (tmp_path / "absent", tmp_path / "absent/deep/$NONE", "no/such/folder", "/proc/none", "a" * 300, "\0"):
        with pytest.raises(DataError) as error:
            load(spec, root)
        assert "\n" not in str(error.value)
        assert ": expected " in str(error.value)
    assert not list(tmp_path.iterdir())
    assert not os.path.lexists("no")


@every
def test_a_root_that_is_a_file_or_forbidden_is_named(name, spec, tmp_path):
    if small_data.kind(name) == "none":
        pytest.skip("no files: they are made, or come with a library")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"\A[^\n]*: expected [^\n]*\Z"):
        load(spec, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "no folder"


@every
def test_a_root_that_can_only_be_read_will_do(name, spec, root):
    pins = small_data.write(name, root)
    whole = content_of(load(spec, root, pins=pins))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    for path in [root, *root.rglob("*")]:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    try:
        assert content_of(load(spec, root, pins=pins)) == whole
        assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    finally:
        for path in [root, *root.rglob("*")]:
            path.chmod(stat.S_IRWXU)


DAMAGES = {
    "empty": lambda c: b"",
    "truncated": lambda c: c[: len(c) * 2 // 3],
    "one bit flipped": lambda c: c[: len(c) // 2] + bytes([c[len(c) // 2] ^ 4]) + c[len(c) // 2 + 1 :],
    "too long": lambda c: c + b"\0",
    "a page": lambda c: b"<!DOCTYPE html><html>404</html>",
    "another file": lambda c: b"\x89PNG\r\n\x1a\n" + c[8:],
}


@pinned
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_in_one_line(name, spec, root, damage):
    pins = small_data.write(name, root)
    whole = load(spec, root, pins=pins)
    for path in files(root):
        content = path.read_bytes()
        path.write_bytes(DAMAGES[damage](content))
        try:
            with pytest.raises(DataError) as error:
                load(spec, root, pins=pins)
        except pytest.fail.Exception:
            # A file that this form of the data set does not read may be as it wants to.
            assert content_of(load(spec, root, pins=pins)) == content_of(whole)
            assert isinstance(spec, dict)
        else:
            assert re.fullmatch(rf"[^\n]*{re.escape(path.name)}[^\n]*: expected .+, found .+; .+", str(error.value))
        finally:
            path.write_bytes(content)


@pinned
def test_files_of_another_version_are_refused(name, spec, root):
    """Small files have not the checksums of the true ones."""
    small_data.write(name, root)
    with pytest.raises(DataError, match=r"expected content of (md5|sha256) \w+, found \w+") as error:
        load(spec, root)
    assert "\n" not in str(error.value)


@pinned
def test_two_files_exchanged_are_found_out(name, spec, root):
    pins = small_data.write(name, root)
    for a, b in zip(files(root), files(root)[1:], strict=False):
        os.rename(a, root / "aside")
        os.rename(b, a)
        os.rename(root / "aside", b)
        with pytest.raises(DataError, match=": expected "):
            load(spec, root, pins=pins)
        os.rename(a, root / "aside")
        os.rename(b, a)
        os.rename(root / "aside", b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options", [{"nonsense": 1}, 17.5, None, [], {"split": []}, {"fold": True}, {"extra": "no"}, {"path": 3}, ""]
)
def test_options_that_a_data_set_does_not_have_are_named(name, options, root):
    with pytest.raises(DataError) as error:
        declaration({name: options}, root)
    assert "\n" not in str(error.value)
    assert name in str(error.value) or str(options) in str(error.value) or "expected" in str(error.value)


def test_the_published_checksums_and_addresses_are_torchvisions():
    """Not those of what is unpacked, which nobody publishes."""
    from torchvision.datasets import CIFAR10, MNIST, SVHN, FashionMNIST

    from bench.data import cifar10, fashion_mnist, mnist, svhn

    for theirs, ours in ((MNIST, mnist), (FashionMNIST, fashion_mnist)):
        assert tuple(md5 for _, md5 in theirs.resources) == ours.MD5
        assert tuple(theirs.mirrors) == ours.MIRRORS
    assert {file: md5 for _, file, md5 in SVHN.split_list.values()} == svhn.MD5
    assert {url for url, _, _ in SVHN.split_list.values()} == {svhn.MIRROR + file for file in svhn.MD5}
    assert dict(CIFAR10.train_list + CIFAR10.test_list) == cifar10.MD5
    assert (CIFAR10.url, CIFAR10.tgz_md5) == (cifar10.ARCHIVE.urls[0], cifar10.ARCHIVE.md5)


def theirs(name, root, pins, monkeypatch):
    """The test images and classes of small files as torchvision reads them."""
    from torchvision import datasets as tv

    match name:
        case "mnist" | "fashion_mnist":
            found = {"mnist": tv.MNIST, "fashion_mnist": tv.FashionMNIST}[name](root, train=False)
            return found.data.numpy(), found.targets.numpy()
        case "cifar10":
            batch = root / "cifar-10-batches-py/test_batch"
            content = {key.decode(): value for key, value in pickle.loads(batch.read_bytes(), encoding="bytes").items()}
            batch.write_bytes(pickle.dumps(content))  # with words for keys, as it opens Python 2's
            monkeypatch.setattr(tv.CIFAR10, "train_list", [])
            monkeypatch.setattr(tv.CIFAR10, "test_list", [["test_batch", None]])
            monkeypatch.setattr(tv.CIFAR10, "_load_meta", lambda self: None)
            found = tv.CIFAR10(root, train=False)
            return found.data.transpose(0, 3, 1, 2), np.array(found.targets)
        case "svhn":
            monkeypatch.setitem(tv.SVHN.split_list, "test", ["", "test_32x32.mat", pins["test_32x32.mat"]])
            found = tv.SVHN(root / "SVHN", split="test")
            return found.data, found.labels


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "svhn"])
def test_files_are_read_as_torchvision_reads_them(name, root, monkeypatch):
    pins = small_data.write(name, root)
    dataset = load(name, root, pins=pins)
    images, classes = theirs(name, root, pins, monkeypatch)
    assert np.abs(dataset.test.x[:].numpy() * 255 - images.reshape(len(images), -1)).max() <= 1e-3
    assert dataset.test.y.tolist() == classes.tolist()
