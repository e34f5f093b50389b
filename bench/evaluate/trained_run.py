"""A trained run, ready to be measured: its model, its data, its codes and its samples."""

from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from bench.config.runs import Run
from bench.config.streams import stream
from bench.data.datasets import Dataset
from bench.train.autoencoder import Autoencoder
from bench.train.objective import Objective


class Trained:
    """A trained run, ready to be measured: model, data, codes of the splits and samples of the model."""

    def __init__(self, run: Run, dataset: Dataset, folder: Path, device: str = "cpu"):
        self.run, self.settings, self.folder, self.device = run, run.settings, folder, torch.device(device)
        self.dataset = dataset.to(device)
        self.objective = self.load("model.safetensors")

    def load(self, name: str) -> Objective:
        """The objective with the weights of a file of the run."""
        s, data = self.settings, self.dataset
        objective = Objective(Autoencoder(s, data.shape, data.classes), data.labelled_share(s.labels))
        objective.load_state_dict(load_file(self.folder / name))
        return objective.to(self.device).eval()

    @property
    def autoencoder(self) -> Autoencoder:
        """The model without its regularizers."""
        return self.objective.autoencoder

    @torch.no_grad
    def encode(self, x, objective: Objective | None = None) -> dict[str, Float[Tensor, "n _"]]:
        """The posterior means of images, by latent, with the variances of Gaussian ones as `z_variance`."""
        torch.manual_seed(stream(self.run.seed, "encode"))  # the universal encoder's noise
        autoencoder = (objective or self.objective).autoencoder
        parts: dict[str, list[Tensor]] = {}
        for index in torch.arange(len(x), device=self.device).split(2000):
            for name, posterior in autoencoder.encode(x[index]).items():
                parts.setdefault(name, []).append(posterior.mean)
                if self.settings.encoder == "gaussian" and self.settings.latents[name].head == "continuous":
                    parts.setdefault(f"{name}_variance", []).append(posterior.variance)
        return {name: torch.cat(chunks) for name, chunks in parts.items()}

    @cached_property
    def codes(self) -> dict[str, dict[str, Tensor]]:
        """The posterior means of the validation and test images."""
        return {"validation": self.encode(self.dataset.validation.x), "test": self.encode(self.dataset.test.x)}

    def aggregated(self, name: str) -> Float[Tensor, "n D"]:
        """Codes from the aggregated posterior of a latent on the test images: draws where posteriors are Gaussian."""
        codes = self.codes["test"]
        variance = codes.get(f"{name}_variance")
        if variance is None:
            return codes[name]
        generator = torch.Generator().manual_seed(stream(self.run.seed, f"aggregated/{name}"))
        noise = torch.randn(variance.shape, generator=generator).to(variance.device)
        return codes[name] + variance.sqrt() * noise

    @torch.no_grad
    def samples(self, n: int, chunk: int = 0, model: Objective | None = None) -> Float[Tensor, "{n} pixels"]:
        """`n` decoded samples in [0, 1] pixel units, of another `model` if given; a chunk's number fixes them."""
        objective = model or self.objective
        torch.manual_seed(stream(self.run.seed, f"samples/{chunk}"))
        return self.dataset.to_pixels(objective.autoencoder.decode(objective.sample(n)))
