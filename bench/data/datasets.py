"""The data sets: images as rows of pixels, fixed splits, normalisation, and the batches of an epoch.

What a data set is, its own file declares (`bench.data.declarations`).
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from bench.config.registry import Spec, name_of
from bench.config.schema import Settings
from bench.config.streams import stream
from bench.data.declarations import SPLITS, as_declared, broken, declaration
from bench.data.verified_files import DataError

__all__ = [
    "DataError", "Dataset", "Images", "Split", "TestSplitSealed",
    "batches", "labelled_batches", "load", "loader",
]  # fmt: skip


class TestSplitSealed(RuntimeError):
    """The test split was asked for while a model is trained."""

    __test__ = False  # pytest takes the name for a test


class Images:
    """Images kept as bytes, normalised when indexed: `images[index]` is a float32 tensor (n, pixels).

    A quarter of the memory of floats, for data sets that would fill it. Index it as a tensor of
    rows: by a tensor of indices, a slice, a mask or one number; `images[:]` is all of it.
    """

    def __init__(
        self,
        levels: UInt8[Tensor, "n pixels"] | Float[Tensor, "n pixels"],
        mean: Float[Tensor, " pixels"],
        scale: Float[Tensor, " pixels"],
    ):
        self.levels, self.mean, self.scale = levels, mean, scale

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, index) -> Float[Tensor, "*n pixels"]:
        return (self.levels[index].float() - self.mean) / self.scale

    @property
    def shape(self) -> torch.Size:
        """(n, pixels)."""
        return self.levels.shape

    @property
    def device(self) -> torch.device:
        """Where the bytes are, and the images will be."""
        return self.levels.device

    def to(self, device: torch.device | str) -> "Images":
        """The same images on another device."""
        return Images(self.levels.to(device), self.mean.to(device), self.scale.to(device))


class Split(NamedTuple):
    """Images and their classes: x (n, pixels), normalised, and y (n), -1 where the class is unknown.

    `x` is a float32 tensor, or `Images` for the large data sets: `x[index]` and `len(x)` work on both.
    """

    x: Float[Tensor, "n pixels"] | Images
    y: Int64[Tensor, " n"]

    def to(self, device: torch.device | str) -> "Split":
        """The same split on another device."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass
class Dataset:
    """A data set with its three fixed splits.

    `shape` is (channels, height, width) of an image, `digest` the version of the content, `cite`
    its keys of `references.bib`; `mean` and `std` (pixels) are the training images' in [0, 1]
    units if they were normalised, else 0 and 1.
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    train: Split
    validation: Split
    digest: str
    cite: tuple[str, ...]
    mean: Float[Tensor, " pixels"]
    std: Float[Tensor, " pixels"]
    held_back: Split | None

    @property
    def pixels(self) -> int:
        """Channels x height x width."""
        channels, height, width = self.shape
        return channels * height * width

    @property
    def test(self) -> Split:
        """The test split.

        Raises:
            TestSplitSealed: after `seal`.
        """
        if self.held_back is None:
            raise TestSplitSealed("the test split is sealed while a model is trained")
        return self.held_back

    def labelled_share(self, count: int | str) -> float:
        """The share of the training images that `count` labels are, or all known ones."""
        known = int((self.train.y >= 0).sum()) if count == "all" else count
        return known / len(self.train.y)

    def seal(self) -> "Dataset":
        """This data set, which forgets its test split: what a training is given."""
        self.held_back = None
        return self

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data set on another device; sealed, if this one is."""
        moved = {name: getattr(self, name).to(device) for name in ("train", "validation", "mean", "std")}
        return dataclasses.replace(self, **moved, held_back=self.held_back and self.held_back.to(device))

    def to_pixels(self, x: Float[Tensor, "*n pixels"]) -> Float[Tensor, "*n pixels"]:
        """Normalised images in [0, 1] pixel units: x · std + mean, not clipped."""
        return x * self.std.to(x.device) + self.mean.to(x.device)


def load(
    spec: Spec, root: str | Path | None = None, normalisation: str = "none", pins: Mapping[str, str] | None = None
) -> Dataset:
    """The data set of a name, or of a name with its options, read from `root`.

    `root` is else the folder that DATA_ROOT names, else ./data. Missing files are downloaded if the licence allows it.
    `normalisation` "per_pixel" subtracts each pixel's mean over the training images and divides by its standard
    deviation (by 1 where it is 0). `pins` overrides the checksums the files must have, by file name.

    Raises:
        DataError: an unknown name or option; a missing, damaged or foreign file; a plug-in that fails.
    """
    source = declaration(spec, root)
    if pins:
        source = dataclasses.replace(source, checksums={**source.checksums, **pins})
    try:
        arrays = as_declared(spec, source, source.read(source.checksums))
    except (DataError, OSError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # of a plug-in anything
        raise broken(spec, error) from error
    splits = {name: (torch.from_numpy(x), torch.from_numpy(y)) for name, (x, y) in arrays.items()}
    mean, std = torch.zeros(source.pixels), torch.ones(source.pixels)
    if normalisation == "per_pixel":
        mean, std = (moment / source.white for moment in moments(splits["train"][0]))
        std[std == 0] = 1

    def split(name: str) -> Split:
        levels, y = splits[name]
        images = Images(levels, mean * source.white, std * source.white)
        return Split(images if source.large else images[:], y)

    train, validation, test = map(split, SPLITS)
    return Dataset(
        name_of(spec), source.shape, source.classes, train, validation, source.digest, source.cite, mean, std, test
    )


def loader() -> Callable[[Settings], Dataset]:
    """What loads the data set of a run's settings: each only once, and its DataError is raised anew."""
    loaded: dict[str, Dataset | DataError] = {}

    def load_once(settings: Settings) -> Dataset:
        key = repr((settings.dataset, settings.normalisation))
        if key not in loaded:
            try:
                loaded[key] = load(settings.dataset, normalisation=settings.normalisation)
            except DataError as error:
                loaded[key] = error
        if isinstance(loaded[key], DataError):
            raise loaded[key]
        return loaded[key]

    return load_once


def moments(
    levels: UInt8[Tensor, "n pixels"] | Float[Tensor, "n pixels"],
) -> tuple[Float[Tensor, " pixels"], Float[Tensor, " pixels"]]:
    """Mean and standard deviation (of the population) of each pixel: of bytes exact sums; in blocks to spare memory."""
    wide = torch.float64 if levels.is_floating_point() else torch.int64
    total, squares = torch.zeros(2, levels.shape[1], dtype=wide)
    for block in levels.split(4096):
        total += block.sum(0, dtype=wide)
        squares += block.to(wide).square().sum(0)
    mean = total.double() / len(levels)
    variance = squares.double() / len(levels) - mean**2
    return mean.float(), variance.clamp(min=0).sqrt().float()


def batches(
    n: int, batch_size: int, seed: int, epoch: int, device: torch.device | str = "cpu"
) -> Iterator[Int64[Tensor, " batch"]]:
    """The batches of one epoch, as indices: every one of `n` images once, in an order set by (seed, epoch) only.

    The last batch is as small as it has to be; one image that remains alone is left out, for a
    penalty or a batch norm needs two.

    Raises:
        ValueError: there is no batch to make.
    """
    if n < 1 or batch_size < 1 or (n == 1 < batch_size):
        raise ValueError(f"no batches of {batch_size} can be made of {n} images")
    order = shuffled(n, seed, f"batches of epoch {epoch}").to(device)
    return (batch for batch in order.split(batch_size) if len(batch) > 1 or batch_size == 1)


def labelled_batches(
    indices: Int64[Tensor, " n"], batch_size: int, seed: int, epoch: int, steps: int
) -> Iterator[Int64[Tensor, " batch"]]:
    """`steps` batches of labelled images, from as many shuffled passes through `indices` as that takes.

    They depend on (seed, epoch) only. With fewer labels than `batch_size`, each batch holds them all.

    Raises:
        ValueError: there are no labelled images.
    """
    if not len(indices) or batch_size < 1:
        raise ValueError(f"no batches of {batch_size} can be made of {len(indices)} labelled images")
    size = min(batch_size, len(indices))
    passes = -(-steps * size // len(indices))
    orders = [shuffled(len(indices), seed, f"labels of epoch {epoch}, pass {i}") for i in range(passes)]
    places = torch.cat([torch.empty(0, dtype=torch.int64), *orders])[: steps * size]
    return iter(indices[places.to(indices.device)].split(size)) if steps else iter(())


def shuffled(n: int, seed: int, name: str) -> Int64[Tensor, " n"]:
    """A permutation of 0 … n - 1 from the stream `name`."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(stream(seed, name)))
