"""Latent regularizers: one file per method, one class per file. This file is the contract.

Each is a torch module of a prior, for any training loop; here codes of 64 features learn ten petals in closed form:

```python
import torch
from regularizers import Petals, Point, load

encoder, x = torch.nn.Linear(64, 2), torch.randn(256, 64)
penalty, optimizer = load("mmd")(Petals()), torch.optim.Adam(encoder.parameters(), lr=0.03)
for step in range(100):
    codes = encoder(x)
    loss = penalty(codes, Point(codes))  # to which a training adds its reconstruction error
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from regularizers._mixture_priors import Mixture, Petals, SwissRoll
from regularizers._posteriors import Point, Product, Simplex
from regularizers._priors import Gaussian, OneHot, Prior, labelled, product, rms

__all__ = [
    "ENCODERS", "PRIORS", "Gaussian", "Mixture", "OneHot", "Petals", "Point", "Prior", "Product", "Regularizer",
    "Simplex", "SwissRoll", "labelled", "load", "names", "prior", "product", "rms", "too_few",
]  # fmt: skip

PRIORS = {"gaussian": Gaussian, "one_hot": OneHot, "petals": Petals, "swiss_roll": SwissRoll, "mixture": Mixture}
ENCODERS = ("deterministic", "gaussian", "universal")


class Regularizer(nn.Module):
    """Pulls the codes of a batch towards the prior.

    A subclass implements `forward`, unless it is no penalty. Hyperparameters are keyword arguments of `__init__`, whose
    annotations say what they may be, explained in the class docstring in latent units. The rest is declared:

    - `encoders`: the encoders it can work with, the preferred one first.
    - `unsupported`: the reason why it cannot work with a prior or an encoder, or None.
    - `unread`: hyperparameters that a value of another leaves without effect, each as (its name, the other, the value).
    - `inner_steps`: updates of its own parameters, by `inner_loss`, before each penalty.
    - `sums_over_categories`: a categorical code is summed over, not relaxed (Kingma's M2).
    - `cites`: keys of `references.bib`.
    """

    title: str = ""
    cites: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ENCODERS
    inner_steps: int = 0
    sums_over_categories: bool = False
    precision: str = "float32"  # of the training, which sets it: what `network` computes in

    def __init__(self, prior: Prior):
        super().__init__()
        self.prior = prior

    @classmethod
    def unsupported(cls, prior: Prior, encoder: str) -> str | None:
        """Why this pair cannot work, in a few words for the tables; None if it can."""
        if encoder not in cls.encoders:
            return f"needs a {' or '.join(cls.encoders)} encoder"
        return None

    def network(self, module: nn.Module, x: Float[Tensor, "n D"]) -> Float[Tensor, "n K"]:
        """What a network of the regularizer's own makes of `x`, in the training's precision; losses stay in float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return module(x).float()

    def inner_loss(self, codes: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
        """The loss of the regularizer's own parameters, such as a discriminator's, given detached codes."""
        raise TypeError(f"{type(self).__name__} declares inner_steps but no inner_loss")

    def forward(self, codes: Float[Tensor, "n D"], posterior: Distribution) -> Float[Tensor, ""]:
        """The penalty, differentiable in the codes and in the posterior's parameters; none unless it is defined."""
        return 0 * codes.sum()

    def fit(self, codes: Float[Tensor, "n D"]) -> None:
        """What is fitted to the codes of the training set once the autoencoder is trained."""

    def sample(self, n: int) -> Float[Tensor, "{n} D"]:
        """Codes to decode into samples of the model: the prior's, unless `fit` learnt another source."""
        return self.prior.sample(n)

    def describe(self) -> dict[str, str]:
        """Facts of the last call that belong into the results, such as the backend that computed it."""
        return {}


def names() -> list[str]:
    """The regularizers at hand: the files of this folder, then those of installed packages."""
    own = [path.stem for path in Path(__file__).parent.glob("[!_]*.py")]
    return sorted(own) + sorted({e.name for e in entry_points(group="latentbench.regularizers")} - set(own))


def load(name: str) -> type[Regularizer]:
    """The one regularizer class of `regularizers/<name>.py`, or of the entry point of that name.

    Raises:
        LookupError: no such regularizer, or its file does not define exactly one.
    """
    if (Path(__file__).parent / f"{name}.py").exists():
        module = import_module(f"regularizers.{name}")
        found = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Regularizer) and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            raise LookupError(f"regularizers/{name}.py defines {len(found)} regularizers; it must define one")
        return found[0]
    for entry in entry_points(group="latentbench.regularizers", name=name):
        return _of(entry, Regularizer)
    raise LookupError(f"no regularizer {name!r}; there are {', '.join(names())}")


def prior(name: str) -> type[Prior]:
    """The prior of that name: one of `PRIORS`, or of an entry point of an installed package.

    Raises:
        LookupError: no such prior.
    """
    if name in PRIORS:
        return PRIORS[name]
    for entry in entry_points(group="latentbench.priors", name=name):
        return _of(entry, Prior)
    raise LookupError(f"no prior {name!r}; there are {', '.join(PRIORS)}")


def _of(entry: EntryPoint, kind: type) -> type:
    found = entry.load()
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise LookupError(f"the entry point {entry.name} names {entry.value}, which is no subclass of {kind.__name__}")
    return found


def too_few(codes: Tensor, least: int = 2) -> None:
    """Raise a ValueError if a penalty between codes gets fewer than `least` of them."""
    if len(codes) < least:
        raise ValueError(f"this penalty compares codes with each other and needs at least {least}, got {len(codes)}")
