"""Data of a user's own that cannot be used: refused in one line that names the file and what is wanted, untrained."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bench.__main__ import main
from bench.config.reading import ConfigError, load
from bench.data import datasets
from tests.support.checkout import ROOT
from tests.support.configs import BASE
from tests.support.small_data import digits_of, noise

N = 60
SPLIT = np.array(["train"] * 40 + ["validation"] * 10 + ["test"] * 10)
SOUND = {"images": noise(N, 8, 8), "labels": digits_of(N, 3)}


def but(**arrays):
    """A file of sound arrays but for these; without those that are None."""
    return lambda path: np.savez(path, **{k: v for k, v in (SOUND | arrays).items() if v is not None})


def changed(name, index, value):
    array = SOUND[name].copy()
    array[index] = value
    return array


def truncated(path):
    but()(path)
    path.write_bytes(path.read_bytes()[:-200])


def damaged(path):
    but()(path)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(bytes(content))


def twice():
    images = SOUND["images"].copy()
    images[45] = images[3]
    return images


def one_array(path):
    with path.open("wb") as file:
        np.save(file, SOUND["images"])


SHAPES = "expected images (n, height, width), (n, height, width, 3) or vectors (n, d), found"
# what own.npz is, and what is said of it
ARRAYS = {
    "none": (lambda path: None, "expected data of your own, found none"),
    "a folder": (lambda path: path.mkdir(), "expected an .npz file of images and labels, found"),
    "empty": (lambda path: path.write_bytes(b""), "expected an .npz file of images and labels, found"),
    "a CSV": (lambda path: path.write_text("1,2,3\n"), "expected an .npz file of images and labels, found"),
    "a page": (lambda path: path.write_text("<html>"), "expected an .npz file of images and labels, found"),
    "truncated": (truncated, "expected an .npz file of images and labels, found"),
    "damaged": (damaged, "expected an .npz file of images and labels, found"),
    "one array": (one_array, "expected an .npz file of images and labels, found"),
    "without labels": (but(labels=None), "expected the array labels, found images"),
    "without images": (but(images=None, x=SOUND["images"]), "expected the array images, found labels, x"),
    "an unknown key": (but(splits=SPLIT), "unknown 'splits'; did you mean 'split'? Valid: images, labels, split"),
    "objects": (but(images=np.array([None] * N, object)), "expected an .npz file of images and labels, found"),
    "labels of objects": (but(labels=np.array(["a"] * N, object)), "expected an .npz file of images and labels, found"),
    "16 bits": (but(images=SOUND["images"].astype(np.uint16) * 257), "bytes (uint8) or floats in [0, 1], found uint16"),
    "whole numbers": (but(images=SOUND["images"].astype(int)), "floats in [0, 1], found int64"),
    "true or false": (but(images=SOUND["images"] > 99), "floats in [0, 1], found bool"),
    "complex": (but(images=SOUND["images"] * 1j), "floats in [0, 1], found complex128"),
    "text": (but(images=SOUND["images"].astype(str)), "floats in [0, 1], found <U3"),
    "NaN": (but(images=np.where(SOUND["images"] > 250, np.nan, 0.5)), "expected finite floats in [0, 1], found"),
    "infinite": (but(images=np.where(SOUND["images"] > 250, np.inf, 0.5)), "expected finite floats in [0, 1], found"),
    "floats to 255": (but(images=SOUND["images"] / 1.0), "floats in [0, 1], found 0 to 255; scale them"),
    "floats from -1": (but(images=SOUND["images"] / 127.5 - 1), "floats in [0, 1], found -1 to 1; scale them"),
    "one number": (but(images=np.float32(1)), f"{SHAPES} ()"),
    "a list of numbers": (but(images=noise(N)), f"{SHAPES} (60,)"),
    "channels first": (but(images=noise(N, 3, 8, 8)), f"{SHAPES} (60, 3, 8, 8)"),
    "four channels": (but(images=noise(N, 8, 8, 4)), f"{SHAPES} (60, 8, 8, 4)"),
    "five dimensions": (but(images=noise(N, 2, 8, 8, 3)), f"{SHAPES} (60, 2, 8, 8, 3)"),
    "no pixels": (but(images=noise(N, 0, 8)), f"{SHAPES} (60, 0, 8)"),
    "no images": (but(images=noise(0, 8, 8), labels=digits_of(0)), "expected 2 to 255 classes"),
    "two images": (but(images=noise(2, 8, 8), labels=digits_of(2)), "expected 6 different images at least, found none"),
    "the same image": (but(images=np.full((N, 8, 8), 7, np.uint8)), "expected 6 different images at least, found none"),
    "fewer labels": (but(labels=digits_of(50, 3)), "expected labels (60) of whole numbers, found int64 (50,)"),
    "one label": (but(labels=np.int64(1)), "expected labels (60) of whole numbers, found int64 ()"),
    "one-hot labels": (but(labels=np.eye(3, dtype=int)[digits_of(N, 3)]), "of whole numbers, found int64 (60, 3)"),
    "labels in words": (but(labels=np.array(["cat", "dog"] * 30)), "of whole numbers, found <U3 (60,)"),
    "labels in floats": (but(labels=digits_of(N, 3) / 1.0), "of whole numbers, found float64 (60,)"),
    "a label of -2": (but(labels=changed("labels", 7, -2)), "found 4 classes from -2 to 2"),
    "labels from 1": (but(labels=digits_of(N, 3) + 1), "found 3 classes from 1 to 3"),
    "a class without images": (but(labels=2 * digits_of(N, 2)), "found 2 classes from 0 to 2"),
    "a label out of range": (but(labels=changed("labels", 7, 2**40)), "found 4 classes from 0 to 10995"),
    "one class": (but(labels=np.zeros(N, int)), "without a gap, and -1 for unknown, found 1"),
    "300 classes": (but(images=noise(900, 8, 8), labels=digits_of(900, 300)), "and -1 for unknown, found 300"),
    "no class known": (but(labels=np.full(N, -1)), "and -1 for unknown, found 0"),
    "a class that is not trained": (
        but(labels=np.where(SPLIT == "test", 3, SOUND["labels"]), split=SPLIT),
        "expected each class in training, found none of class 3",
    ),
    "a test image of unknown class": (
        but(labels=changed("labels", 55, -1), split=SPLIT),
        "expected a class for each image that is not for training, found one of test without",
    ),
    "an image in two splits": (
        but(images=twice(), split=SPLIT),
        "expected different images in the splits, found image 3 (train) equal to image 45 (validation)",
    ),
    "a split of another name": (
        but(split=np.where(SPLIT == "validation", "valid", SPLIT)),
        "of the words train, validation, test, found 'valid'",
    ),
    "split as sizes": (but(split=np.array([40, 10, 10])), "of the words train, validation, test, found (3,)"),
    "split as numbers": (but(split=digits_of(N, 3)), "of the words train, validation, test, found '0'"),
    "no test images": (but(split=np.where(SPLIT == "test", "train", SPLIT)), "found none for test"),
}  # fmt: skip


def put(folder, images, names="{}.png"):
    """The images of a class, in a folder of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / names.format(i))


def two(path, *more):
    """Two classes of ten images, and more files: (name, what writes it)."""
    put(path / "cat", noise(10, 8, 8))
    put(path / "dog", noise(10, 8, 8, seed=1))
    for name, save in more:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        save(path / name)


def picture(mode, size=(8, 8)):
    return lambda path: Image.new(mode, size).save(path)


def cut_short(path):
    Image.fromarray(noise(1, 64, 64)[0]).resize((8, 8)).save(path)
    path.write_bytes(path.read_bytes()[:60])


def splits(path, names=("train", "validation", "test"), classes=("cat", "dog"), seed=0):
    for i, name in enumerate(names):
        for j, word in enumerate(classes):
            put(path / name / word, noise(10, 8, 8, seed=seed + 10 * i + j))


def class_alone(path):
    splits(path)
    put(path / "test/emu", noise(3, 8, 8, seed=5))


def copied(path):
    splits(path)
    put(path / "test/cat", noise(10, 8, 8)[:1], "copy{}.png")


GREY = "grey, 8 x 8 pixels"
# what the folder own is, and what is said of it
FOLDERS = {
    "none": (lambda path: None, "expected data of your own, found none"),
    "a file": (lambda path: path.write_text("zip"), "expected 2 to 255 classes, found 0"),
    "empty": (lambda path: path.mkdir(), "expected 2 to 255 classes, found 0"),
    "without classes": (lambda path: put(path, noise(10, 8, 8)), "expected 2 to 255 classes, found 0"),
    "one class": (lambda path: put(path / "cat", noise(10, 8, 8)), "expected 2 to 255 classes, found 1"),
    "another size": (lambda p: two(p, ("cat/x.png", picture("L", (8, 9)))), f"expected {GREY}, found grey, 9 x 8 pix"),
    "colour among grey": (lambda p: two(p, ("cat/x.png", picture("RGB"))), f"expected {GREY}, found RGB, 8 x 8 pixels"),
    "transparency": (lambda p: two(p, ("cat/x.png", picture("RGBA"))), "8 bits a channel, found the mode RGBA"),
    "a palette": (lambda p: two(p, ("cat/x.png", picture("P"))), "8 bits a channel, found the mode P"),
    "black and white": (lambda p: two(p, ("cat/x.png", picture("1"))), "8 bits a channel, found the mode 1"),
    "16 bits": (lambda p: two(p, ("cat/x.png", picture("I;16"))), "8 bits a channel, found the mode I;16"),
    "no image": (lambda p: two(p, ("cat/x.png", lambda f: f.write_text("hello"))), "an image, found none that"),
    "cut short": (lambda p: two(p, ("cat/x.png", cut_short)), "expected an image, found none that can be read"),
    "two images": (lambda p: [put(p / "cat", noise(1, 8, 8)), put(p / "dog", noise(1, 8, 8, seed=1))],
                   "expected 6 different images at least, found none"),
    "two splits": (lambda p: splits(p, ("train", "test")), "expected 2 to 255 classes, found 0"),
    "a class that is not trained": (class_alone, "expected each class in training, found none of class 2"),
    "an image in two splits": (copied, "expected different images in the splits, found image"),
}  # fmt: skip
CASES = [("arrays", "own.npz", *case) for case in ARRAYS.values()] + [
    ("folder", "own", *case) for case in FOLDERS.values()
]
IDS = [*(f"arrays {name}" for name in ARRAYS), *(f"folder {name}" for name in FOLDERS)]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))


def config(folder, spec):
    """A config of one small method on these data."""
    text = "extends: base.yaml\nname: own\nonly: [density]\n"
    text += f"defaults: {{dataset: {spec}, batch_size: 10, epochs: 1}}\n"
    text += "experiments: {density: {methods: [ae], evaluations: [reconstruction]}}\n"
    (folder / "base.yaml").write_text(BASE)
    (folder / "c.yaml").write_text(text)
    return folder / "c.yaml"


@pytest.mark.parametrize(("kind", "name", "write", "said"), CASES, ids=IDS)
def test_it_is_refused_in_one_line_before_anything_is_trained(tmp_path, monkeypatch, capsys, kind, name, write, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name)
    path = config(tmp_path, f"{{{kind}: {name}}}")
    assert main(["train", str(path)]) == 2
    out, err = capsys.readouterr()
    [line] = err.splitlines()
    assert said in line
    known = line.startswith(f"{path}: defaults.dataset: ")  # what a folder's images are is seen when they are read
    assert known or kind == "folder" or "found none" in said
    assert re.search(rf"\b{re.escape(name)}\b", line)
    assert "; " in line.partition(": expected ")[2] or "Valid: " in line  # what to do about it
    assert not out
    assert not [*tmp_path.glob("results/**/record.json")]


def test_the_program_says_it_too(tmp_path):
    but(splits=SPLIT)(tmp_path / "own.npz")
    path = config(tmp_path, "{arrays: own.npz}")
    command = [sys.executable, "-m", "bench", "plan", str(path)]
    found = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"{path}: defaults.dataset: ")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("evaluations: [latent]", "evaluations: latent needs 100 test images at least (found 10)"),
        ("batch_size: 50", "arrays has 40 training images (found 50)"),
        ("evaluations: [components]", "a continuous latent whose prior has a multiple of 3 components"),
        ("labels: 45", "expected 'all', 0 or a multiple of the 3 classes of arrays, at most 39 (found 45)"),
    ],
)
def test_what_the_data_do_not_allow_is_known_before_anything_runs(tmp_path, settings, said):
    but(split=SPLIT)(tmp_path / "own.npz")
    path = config(tmp_path, "{arrays: own.npz}")
    path.write_text(path.read_text().replace("evaluations: [reconstruction]", settings))
    with pytest.raises(ConfigError) as error:
        load(path)
    assert any(line.endswith(said) for line in str(error.value).splitlines()), str(error.value)


STRANGE = {
    "Fortran's order": {"images": np.asfortranarray(SOUND["images"])},
    "every second one": {"images": np.repeat(SOUND["images"], 2, 0)[::2], "labels": np.repeat(SOUND["labels"], 2)[::2]},
    "big-endian": {"labels": SOUND["labels"].astype(">i2")},
    "unsigned labels": {"labels": SOUND["labels"].astype(np.uint8)},
    "upside down": {"images": SOUND["images"][:, ::-1][:, ::-1]},
}


@pytest.mark.parametrize("arrays", STRANGE.values(), ids=STRANGE)
def test_how_an_array_lies_in_memory_makes_no_difference(tmp_path, arrays):
    but()(tmp_path / "a.npz")
    but(**arrays)(tmp_path / "b.npz")
    a, b = (datasets.load({"arrays": name}, tmp_path) for name in ("a.npz", "b.npz"))
    assert (a.train.x == b.train.x).all()
    assert (a.test.y == b.test.y).all()
    assert load(config(tmp_path, "{arrays: b.npz}"))
