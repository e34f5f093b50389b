"""Kuzushiji-MNIST: 70,000 characters of cursive Japanese in MNIST's format (Clanuwat et al., 2018)."""

from pathlib import Path

from bench.data.declarations import Declaration
from bench.data.idx import mnist_like

MIRRORS = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
MD5 = (  # of the compressed files, as torchvision has them
    "bdb82020997e1d708af4cf47b453dcf7",
    "e144d726b3acfaa3e44228e80efcd344",
    "5c965bf0a639b31b8f53240b1b52f4d7",
    "7320c461ea6c1c855c0b718fb2a4b134",
)


def declare(root: Path) -> Declaration:
    """Kuzushiji-MNIST's four files in `KMNIST/raw`: the compressed ones, for only their checksums are published."""
    return mnist_like(root / "KMNIST/raw", MIRRORS, MD5, cite=("clanuwat2018",))
