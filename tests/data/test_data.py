"""Data sets: every damage is caught and named, splits are fixed and disjoint, the test split stays sealed."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from bench.config.streams import stream
from bench.data import datasets, labelled_subsets, sources, verified_files
from bench.data.datasets import DataError, batches, labelled_batches, labelled_subset, load

ROOT = Path(__file__).parents[2]
REAL = sources.root_folder() / "MNIST/raw"
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


# --- MNIST, in small ---


def idx_images(n, seed=0):
    pixels = np.random.RandomState(seed).randint(0, 256, (n, 28, 28), dtype=np.uint8)
    return np.array([0x803, n, 28, 28], dtype=">u4").tobytes() + pixels.tobytes()


def idx_labels(n):
    return np.array([0x801, n], dtype=">u4").tobytes() + bytes(i % 10 for i in range(n))


SMALL = dict(
    zip(sources.MNIST_SHA256, (idx_images(60), idx_labels(60), idx_images(20, 1), idx_labels(20)), strict=True)
)
PINS = {name: hashlib.sha256(content).hexdigest() for name, content in SMALL.items()}
IMAGES, LABELS = list(SMALL)[:2]


@pytest.fixture
def mnist(tmp_path):
    """A data root with a small MNIST, and the function that loads it."""
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for name, content in SMALL.items():
        (tmp_path / "MNIST/raw" / name).write_bytes(content)
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
        verified_files.idx(tmp_path, name, PINS)


@fuzz
@given(damaged())
def test_the_structure_alone_admits_valid_arrays_only(case):
    """Without the checksum's help: images are 28 x 28, classes 0 to 9, or it is an error."""
    name, content = case
    dimensions = 3 if "images" in name else 1
    try:
        values = verified_files.parse_idx(Path(name), content, dimensions)
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
    for name in sources.MNIST_SHA256:
        os.symlink((REAL / name).absolute(), tmp_path / "MNIST/raw" / name)
    victim = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte"
    content = bytearray(victim.read_bytes())
    content[4_000_000] ^= 8
    victim.unlink()
    victim.write_bytes(content)
    with pytest.raises(DataError, match=names_file(victim.name)):
        load("mnist", tmp_path)


# --- downloads ---


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A web server on this machine, and torchvision's addresses and checksums turned to it."""
    from torchvision.datasets import MNIST

    folder = tmp_path / "mirror"
    folder.mkdir()
    resources = []
    for name, content in SMALL.items():
        packed = gzip.compress(content)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    yield folder, server
    server.shutdown()
    server.server_close()


def test_absent_files_are_downloaded(tmp_path, mirror, mnist):
    _, read = mnist
    root = tmp_path / "fresh"
    assert content_of(load("mnist", root, pins=PINS).train) == content_of(read().train)
    assert {path.name for path in (root / "MNIST/raw").iterdir()} == {*SMALL, ".lock"}
    for packed in mirror[0].iterdir():
        packed.unlink()
    load("mnist", root, pins=PINS)  # needs no server now


def captive_portal(folder, server):
    (folder / f"{LABELS}.gz").write_bytes(b"<html>log in first</html>")


def no_network(folder, server):
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("fault", [captive_portal, no_network])
def test_a_failed_download_leaves_no_file(tmp_path, mirror, fault):
    fault(*mirror)
    root = tmp_path / "fresh"
    with pytest.raises(DataError, match="download failed") as error:
        load("mnist", root, pins=PINS)
    assert [path.name for path in (root / "MNIST/raw").iterdir()] == [".lock"]
    for word in (str(root / "MNIST/raw"), "DATA_ROOT", "data_root", *SMALL):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_absent_svhn_is_downloaded_as_far_as_wanted(svhn, mirror, monkeypatch, tmp_path):
    from torchvision.datasets import SVHN

    folder, _, read = svhn
    whole = read(extra=False)
    for path in folder.iterdir():
        path.rename(mirror[0] / path.name)
    address = f"http://127.0.0.1:{mirror[1].server_port}/"
    urls = {split: [address + file, file, md5] for split, (_, file, md5) in SVHN.split_list.items()}
    monkeypatch.setattr(SVHN, "split_list", urls)
    assert content_of(read(extra=False).train) == content_of(whole.train)
    assert {path.name for path in folder.iterdir()} == {"train_32x32.mat", "test_32x32.mat", ".lock"}
    (mirror[0] / "extra_32x32.mat").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"the files extra_32x32\.mat, .*download failed"):
        read()


def test_a_folder_that_cannot_be_made_is_a_data_error(tmp_path):
    (tmp_path / "MNIST").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="DATA_ROOT"):
        load("mnist", tmp_path)


def test_one_of_many_downloads_and_leftovers_go(tmp_path):
    (tmp_path / ".download-of-a-dead-process").mkdir()
    fetches, gate = [], threading.Barrier(6)

    def fetch(temporary):
        fetches.append(temporary)
        time.sleep(0.1)
        (temporary / "file").write_text("whole")
        return temporary

    def one():
        gate.wait()
        verified_files.download(tmp_path, lambda: [] if (tmp_path / "file").exists() else ["file"], fetch)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetches) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"file", ".lock"}


def test_the_root_is_the_argument_then_the_environment(monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "/from/environment")
    assert sources.root_folder("/argument") == Path("/argument")
    assert sources.root_folder() == Path("/from/environment")
    monkeypatch.delenv("DATA_ROOT")
    assert sources.root_folder() == Path("data")


# --- digits ---


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


# --- SVHN and TFD, files of the true formats ---


@pytest.fixture
def svhn(tmp_path):
    """A data root with a small SVHN, its arrays, and the function that loads it."""
    rng, arrays, pins = np.random.RandomState(0), {}, {}
    for file, n in (("train", 60), ("test", 20), ("extra", 30)):
        x, y = rng.randint(0, 256, (32, 32, 3, n), dtype=np.uint8), rng.randint(1, 11, (n, 1)).astype(np.uint8)
        x[5, 7, 2] = 9  # a pixel that never changes
        path = tmp_path / "SVHN" / f"{file}_32x32.mat"
        path.parent.mkdir(exist_ok=True)
        savemat(path, {"X": x, "y": y})
        arrays[file], pins[path.name] = (x, y), hashlib.md5(path.read_bytes()).hexdigest()
    return tmp_path / "SVHN", arrays, lambda **options: load("svhn", tmp_path, pins=pins, **options)


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
            sources.svhn_file(path, hashlib.md5(path.read_bytes()).hexdigest())


def test_the_pinned_checksums_are_torchvisions():
    from torchvision.datasets import SVHN

    assert {file: md5 for _, file, md5 in SVHN.split_list.values()} == sources.SVHN_MD5


@pytest.fixture
def tfd(tmp_path):
    """A data root with a file in the format of the Toronto Face Database, and its arrays."""
    rng, n = np.random.RandomState(0), 60
    folds = np.stack([np.r_[np.zeros(20), rng.permutation(np.repeat([1, 2, 3], [26, 6, 8]))] for _ in range(5)], 1)
    arrays = {
        "images": rng.randint(0, 256, (n, 48, 48), dtype=np.uint8),
        "labs_ex": np.r_[np.full(20, -1), np.arange(40) % 7 + 1].astype(np.int16)[:, None],
        "labs_id": np.arange(n)[:, None],
        "folds": folds.astype(np.uint8),
    }
    (tmp_path / "TFD").mkdir()
    savemat(tmp_path / "TFD/TFD_48x48.mat", arrays)
    return tmp_path, arrays


@pytest.mark.parametrize("fold", [0, 4])
def test_tfd_follows_its_official_folds(tfd, fold):
    root, arrays = tfd
    dataset = load("tfd", root, "per_pixel", fold=fold)
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar"}, "no data set 'cifar'; there are digits, mnist, svhn, tfd"),
        ({"name": "digits", "normalisation": "whiten"}, "no normalisation 'whiten'; there are none, per_pixel"),
        ({"name": "digits", "fold": 1}, "digits has no option fold"),
    ],
)
def test_unknown_settings_are_named(arguments, message):
    with pytest.raises(DataError, match=message):
        load(**arguments)


def test_tfd_has_five_folds(tfd):
    with pytest.raises(DataError, match="folds 0 to 4, not 5"):
        load("tfd", tfd[0], fold=5)


# --- the seal ---


def test_a_sealed_test_split_is_out_of_reach():
    dataset = load("digits")
    assert len(dataset.test.y) == 300
    assert len(dataset.to("cpu").test.y) == 300
    assert dataset.seal() is dataset
    for sealed in (dataset, dataset.to("cpu")):
        with pytest.raises(datasets.TestSplitSealed, match="the test split is sealed while a model is trained"):
            _ = sealed.test
    assert len(load("digits").test.y) == 300


# --- labelled subsets ---


@pytest.mark.parametrize("path", sorted(labelled_subsets.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_index_files_hold_ten_balanced_draws(path):
    content = labelled_subsets.read(path)
    assert path.stem == f"{content['dataset']}-{content['count']}"
    assert len(content["draws"]) == len({tuple(draw) for draw in content["draws"]}) == 10
    assert all(len(set(draw)) == content["count"] for draw in content["draws"])
    if content["dataset"] == "mnist" and not REAL.is_dir():
        pytest.skip("the MNIST files are not in the data root; set DATA_ROOT to the folder that holds them")
    dataset = load(content["dataset"])
    y = dataset.train.y
    for draw, subset in enumerate(content["draws"]):
        assert y[subset].bincount().tolist() == [content["count"] // 10] * 10
        assert subset == labelled_subsets.balanced_draw(y.numpy(), content["count"], draw, 10)


def test_index_files_are_what_is_read(tmp_path):
    y = torch.arange(50) % 10
    labelled_subsets.write(tmp_path / "toy-20.json", "toy", y.numpy(), 20, 10)
    content = json.loads((tmp_path / "toy-20.json").read_text())
    content["draws"][0] = list(range(20, 40))
    content["sha256"] = labelled_subsets.seal_of(content)
    (tmp_path / "toy-20.json").write_text(json.dumps(content))
    assert labelled_subset(y, 20, 0, 10, tmp_path).tolist() == list(range(20, 40))
    other = (y + 1) % 10  # other data: the file does not apply
    assert labelled_subset(other, 20, 0, 10, tmp_path).tolist() == labelled_subsets.balanced_draw(
        other.numpy(), 20, 0, 10
    )


@pytest.mark.parametrize(
    "spoil", [lambda t: t.replace("[", "[0,", 1), lambda t: t[:-9], lambda t: "{}", lambda t: "[]"]
)
def test_an_edited_index_file_is_refused(tmp_path, spoil):
    path, y = tmp_path / "toy-20.json", torch.arange(50) % 10
    labelled_subsets.write(path, "toy", y.numpy(), 20, 10)
    labelled_subset(y, 20, 0, 10, tmp_path)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(DataError, match=names_file(path.name)):
        labelled_subset(y, 20, 0, 10, tmp_path)


@given(st.lists(st.integers(-1, 3), min_size=40, max_size=200), st.integers(0, 3), st.integers(0, 30))
def test_subsets_are_balanced_nested_and_of_known_images(y, each, draw):
    y = torch.tensor(y + [0, 1, 2, 3] * 4)
    subset = labelled_subset(y, 4 * each, draw, 4)
    assert y[subset].bincount(minlength=4).tolist() == [each] * 4
    assert subset.dtype == torch.int64
    assert set(subset.tolist()) <= set(labelled_subset(y, 16, draw, 4).tolist())
    assert torch.equal(subset, labelled_subset(y, 4 * each, draw, 4))
    assert y[labelled_subset(y, "all", draw, 4)].tolist() == y[y >= 0].tolist()


def test_impossible_subsets_are_refused():
    y = torch.arange(20) % 10
    for count in (15, -10, "some"):
        with pytest.raises(DataError, match="multiple of 10"):
            labelled_subset(y, count, 0, 10)
    with pytest.raises(DataError, match="3 images of class 0, found 2"):
        labelled_subset(y, 30, 0, 10)


# --- batches and streams ---


@given(st.integers(2, 300), st.integers(1, 70), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_sees_each_image_once(n, size, seed, epoch):
    got = list(batches(n, size, seed, epoch))
    seen = torch.cat(got).tolist()
    alone = size > 1 and n % size == 1
    assert len(set(seen)) == len(seen) == n - alone
    assert set(seen) <= set(range(n))
    assert {len(batch) for batch in got[:-1]} <= {size}
    assert size == 1 or len(got[-1]) > 1


def test_batches_depend_on_seed_and_epoch_only():
    def order(*arguments):
        torch.rand(3)  # the global random state plays no part
        return torch.cat(list(batches(100, 10, *arguments))).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(5) for epoch in range(5)}) == 25
    assert [batch.tolist() for batch in batches(7, 3, 0, 0)] == [[3, 4, 6], [1, 2, 5]]  # golden


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 30))
def test_labelled_batches_cycle(n, size, steps):
    indices = 1000 + torch.arange(n)
    got = list(labelled_batches(indices, size, 0, 0, steps))
    assert [len(batch) for batch in got] == [min(size, n)] * steps
    times = (torch.cat([indices, *got]) - 1000).bincount(minlength=n)
    assert times.max() - times.min() <= 1  # whole passes, and part of one
    assert torch.equal(torch.cat([indices, *got]), torch.cat([indices, *labelled_batches(indices, size, 0, 0, steps)]))


def test_labelled_batches_differ_between_epochs():
    orders = {
        tuple(torch.cat(list(labelled_batches(torch.arange(50), 25, 0, epoch, 4))).tolist()) for epoch in range(9)
    }
    assert len(orders) == 9


def test_no_batches_of_nothing():
    for n, size in ((0, 10), (1, 10), (5, 0)):
        with pytest.raises(ValueError, match=f"no batches of {size} can be made of {n} images"):
            batches(n, size, 0, 0)
    with pytest.raises(ValueError, match="of 0 labelled images"):
        labelled_batches(torch.arange(0), 10, 0, 0, 5)


def test_streams_differ_and_are_fixed():
    names = ("batches", "labels", "model", "noise", "prior", "evaluation")
    assert len({stream(seed, name) for seed in range(100) for name in names}) == 600
    assert stream(0, "batches") == 598306082256072567
    assert stream(1, "model") == 7838490221522719739
    assert all(0 <= stream(seed, "batches") < 2**63 for seed in range(1000))
    with pytest.raises(ValueError, match="negative"):
        stream(-1, "batches")


def test_importing_the_data_is_light():
    program = """
import sys
import bench.sources
assert "torch" not in sys.modules
import bench.data
assert not {"torchvision", "sklearn", "scipy", "pandas"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
