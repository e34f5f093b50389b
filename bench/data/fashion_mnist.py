"""Fashion-MNIST: 70,000 pictures of clothes in MNIST's format (Xiao et al., 2017)."""

from pathlib import Path

from bench.data.declarations import Declaration
from bench.data.idx import mnist_like

MIRRORS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
MD5 = (  # of the compressed files, as torchvision has them
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
SHA256 = (  # of their content
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)


def declare(root: Path) -> Declaration:
    """Fashion-MNIST's four files in `FashionMNIST/raw`, compressed or not."""
    return mnist_like(root / "FashionMNIST/raw", MIRRORS, MD5, SHA256, smallest_class=4950, cite=("xiao2017",))
