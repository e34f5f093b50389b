"""Steps of pythae's own trainers and losses, timed in an environment of their own; started by `bench.perf.rival`.

Reads one request a line from standard input, and answers each by one line of JSON. Nothing of
this package is imported, for it need not be installed there.
"""

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise

import torch
from pythae import models, trainers
from pythae.data.datasets import BaseDataset
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from torch import nn

CONFIGS = {"AE": "AEConfig", "VAE": "VAEConfig", "WAE_MMD": "WAE_MMD_Config", "Adversarial_AE": "Adversarial_AE_Config"}


def now():
    """Processor time where one thread does all the work, else wall time."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def layers(*widths):
    """Linear layers with rectified units after each."""
    return nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU())))


class Encoder(BaseEncoder):
    """As many layers as asked for; a variance for the models that read one."""

    def __init__(self, pixels, width, depth, dim, gaussian):
        super().__init__()
        self.trunk, self.mean = layers(pixels, *[width] * depth), nn.Linear(width, dim)
        self.log_variance = nn.Linear(width, dim) if gaussian else None

    def forward(self, x):
        """Codes, by the names that pythae reads."""
        features = self.trunk(x)
        found = {"embedding": self.mean(features)}
        if self.log_variance is not None:
            found["log_covariance"] = self.log_variance(features)
        return ModelOutput(**found)


class Decoder(BaseDecoder):
    """The encoder's mirror image, with a logistic output."""

    def __init__(self, pixels, width, depth, dim):
        super().__init__()
        self.net = nn.Sequential(layers(dim, *[width] * depth), nn.Linear(width, pixels), nn.Sigmoid())

    def forward(self, z):
        """Images, by the name that pythae reads."""
        return ModelOutput(reconstruction=self.net(z))


class Discriminator(BaseDiscriminator):
    """Two hidden layers and a probability."""

    def __init__(self, width, dim):
        super().__init__()
        self.net = nn.Sequential(layers(dim, width, width), nn.Linear(width, 1), nn.Sigmoid())

    def forward(self, z):
        """Probabilities, by the name that pythae reads."""
        return ModelOutput(embedding=self.net(z))


class TurnIsOver(Exception):
    """Ends an epoch in its midst."""


class Stamps(trainers.training_callbacks.TrainingCallback):
    """The times at which steps end, until there are enough."""

    def __init__(self):
        self.steps, self.stamps = 0, []

    def on_train_step_end(self, training_config, **kwargs):
        """Called by the trainer after each batch."""
        self.stamps.append(now() if len(self.stamps) in (0, self.steps) else 0.0)
        if len(self.stamps) > self.steps:
            raise TurnIsOver


class Trainer:
    """A pythae trainer of a model with given networks, in the midst of an epoch."""

    def __init__(self, model, images, pixels, width, depth, dim, discriminator, batch, fused, folder):
        options = {"deterministic_posterior": True} if model == "Adversarial_AE" else {}
        config = getattr(models, CONFIGS[model])(input_dim=(pixels,), latent_dim=dim, **options)
        networks = [Encoder(pixels, width, depth, dim, model in ("VAE", "Adversarial_AE"))]
        networks.append(Decoder(pixels, width, depth, dim))
        if model == "Adversarial_AE":
            networks.append(Discriminator(discriminator, dim))
        self.model = getattr(models, model)(config, *networks)
        adversarial, own = model == "Adversarial_AE", {"fused": True} if fused else None
        prefixes = ("autoencoder_", "discriminator_") if adversarial else ("",)
        kind = "AdversarialTrainer" if adversarial else "BaseTrainer"
        settings = getattr(trainers, f"{kind}Config")(
            output_dir=folder, per_device_train_batch_size=batch, **{f"{p}optimizer_params": own for p in prefixes}
        )
        self.stamps = Stamps()
        x = (torch.rand(images, pixels) * 5 - 4).clamp(min=0)
        data = BaseDataset(x, torch.zeros(images))
        self.trainer = getattr(trainers, kind)(self.model, data, None, settings, [self.stamps])
        self.trainer.prepare_training()

    def turn(self, steps):
        """Seconds of one step: the mean of `steps` from the end of one step to that of the next."""
        self.stamps.steps, self.stamps.stamps = steps, []
        while len(self.stamps.stamps) <= steps:
            try:
                self.trainer.train_step(1)
            except TurnIsOver:
                break
        stamps = self.stamps.stamps
        return (stamps[steps] - stamps[0]) / steps


class MMD:
    """The loss of pythae's WAE-MMD and its gradient in the codes."""

    def __init__(self, codes, dim):
        config = models.WAE_MMD_Config(input_dim=(1,), latent_dim=dim, reg_weight=1.0)
        self.model = models.WAE_MMD(config, Encoder(1, 1, 1, dim, False), Decoder(1, 1, 1, dim))
        self.z, self.x = (torch.randn(codes, dim) + 0.1).requires_grad_(), torch.zeros(codes, 1)

    def turn(self, steps):
        """Seconds of one loss with its gradient, without a reconstruction error."""
        start = now()
        for _ in range(steps):
            self.z.grad = None
            self.model.loss_function(self.x, self.x, self.z, torch.randn_like(self.z))[2].backward()
        return (now() - start) / steps


def main():
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints must not be taken for an answer
    jobs, kinds = {}, {"trainer": Trainer, "mmd": MMD}
    torch.set_flush_denormal(True)  # as bench.training does
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            request = json.loads(line)
            if "threads" in request:
                torch.set_num_threads(request["threads"])
                reply = {"pythae": version("pythae"), "torch": torch.__version__}
            elif "kind" in request:
                name, kind = request.pop("name"), request.pop("kind")
                jobs.pop(name, None)
                jobs[name] = kinds[kind](**request, **({"folder": folder} if kind == "trainer" else {}))
                reply = {}
            else:
                reply = {"seconds": jobs[request["name"]].turn(request["steps"])}
            print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
