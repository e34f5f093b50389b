"""Log-likelihood of a decoder by annealed importance sampling, with a bracket that says how far to trust it.

The model is z ~ p(z), x | z ~ N(f(z), σ² I) (Wu et al., 2017, On the quantitative analysis of decoder-based
generative models). Unlike a Parzen window it asks which codes explain an image instead of how near
some samples come.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Normal
from tqdm import tqdm

from regularizers import Prior, rms

ACCEPTANCE = 0.65  # of Hamiltonian steps


class Bracket(NamedTuple):
    """Bounds of the log-likelihood of simulated images in nats: in expectation, lower ≤ log p(x) ≤ upper."""

    lower: Float[Tensor, " n"]
    upper: Float[Tensor, " n"]

    @property
    def gap(self) -> float:
        """Mean of upper − lower, in nats: the error of `log_likelihood` on such images is smaller."""
        return (self.upper - self.lower).mean().item()


class State(NamedTuple):
    """Codes, the two parts of log p(x, z), and their gradients in the codes."""

    z: Tensor
    likelihood: Tensor
    prior: Tensor
    likelihood_gradient: Tensor
    prior_gradient: Tensor


class Model:
    """log p(x, z) of a decoder f, a function from codes (n, D) to means (n, d), and a prior.

    `sigma` is the standard deviation of an observed dimension, in the units of x.

    Raises:
        ValueError: the prior has no density, or sigma is not positive.
    """

    def __init__(self, decoder: Callable[[Tensor], Tensor], prior: Prior, sigma: float):
        if not prior.has_density:
            raise ValueError("the prior has no density: its codes cannot be annealed")
        if not sigma > 0:
            raise ValueError(f"the observation's standard deviation must be positive, got {sigma}")
        self.decoder, self.prior, self.sigma = decoder, prior, sigma
        L = prior.scale_tril
        self.whitening = torch.linalg.solve_triangular(L, torch.eye(prior.dim).expand_as(L).to(L), upper=False)
        log_determinant = L.diagonal(dim1=1, dim2=2).log().sum(1)
        self.constant = prior.weights.log() - log_determinant - prior.dim / 2 * math.log(2 * math.pi)

    def log_prior(self, z: Float[Tensor, "n D"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n D"]]:
        """Log p(z) of the Gaussian mixture, and its gradient."""
        white = torch.einsum("kij,knj->kni", self.whitening, z - self.prior.means[:, None])
        joint = self.constant[:, None] - white.square().sum(2) / 2  # (K, n)
        share = joint.softmax(0)
        return joint.logsumexp(0), -torch.einsum("kn,kij,kni->nj", share, self.whitening, white)

    def log_likelihood(self, x: Float[Tensor, "n d"], z: Float[Tensor, "n D"]) -> Float[Tensor, " n"]:
        """Log N(x; f(z), σ² I)."""
        square = (x - self.decoder(z)).square().sum(1)
        return -square / (2 * self.sigma**2) - x.shape[1] * math.log(self.sigma * math.sqrt(2 * math.pi))

    def state(self, x: Float[Tensor, "n d"], z: Float[Tensor, "n D"]) -> State:
        """What Hamiltonian dynamics need to know of these codes, at any temperature."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            likelihood = self.log_likelihood(x, z)
            (gradient,) = torch.autograd.grad(likelihood.sum(), z)
        prior, prior_gradient = self.log_prior(z.detach())
        return State(z.detach(), likelihood.detach(), prior, gradient, prior_gradient)

    @torch.no_grad
    def simulate(self, n: int) -> tuple[Float[Tensor, "{n} d"], Float[Tensor, "{n} D"]]:
        """`n` images and the codes behind them, which are exact posterior samples."""
        z = self.prior.sample(n)
        mean = self.decoder(z)
        return mean + self.sigma * torch.randn_like(mean), z

    @torch.no_grad
    def importance_weighted(
        self, x: Float[Tensor, "n d"], mean: Float[Tensor, "n D"], variance: Float[Tensor, "n D"], draws: int = 1000
    ) -> Float[Tensor, " n"]:
        """Log (1/k) Σ p(x, z) / q(z | x) with k `draws` of a Gaussian encoder (Burda et al., 2016), float64, in nats.

        A lower bound in expectation; with one draw it is the evidence lower bound. One draw for all images
        is held at a time.
        """
        q = Independent(Normal(mean, variance.sqrt(), validate_args=False), 1)
        total = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)
        for _ in range(draws):
            z = q.sample()
            joint = self.log_likelihood(x, z).double() + self.log_prior(z)[0].double()
            total = torch.logaddexp(total, joint - q.log_prob(z).double())
        return total - math.log(draws)


class Annealing:
    """Annealed importance sampling from the prior to the posterior (Neal, 2001), by Hamiltonian Monte Carlo.

    Intermediate densities are p(z) p(x | z)^β, with β spaced like a sigmoid between −`steepness` and
    `steepness`; a steeper one has more of its temperatures near the prior, which few temperatures or a
    small σ need. A step has `leapfrog` leaps; their length is tuned towards `ACCEPTANCE`, for each image
    and temperature, by `pilot` chains of its own that do not count: chains that tuned themselves would
    void the bounds. Random numbers come from torch's global state. Wu et al. use 10,000 temperatures,
    16 chains and steepness 4.
    """

    def __init__(
        self, model: Model, temperatures: int = 1000, chains: int = 16, leapfrog: int = 10, pilot: int = 4,
        steepness: float = 4.0,
    ):  # fmt: skip
        if min(temperatures, chains, leapfrog, pilot) < 1:
            raise ValueError("temperatures, chains, leapfrog and pilot must be at least 1")
        self.model, self.chains, self.leapfrog, self.pilot = model, chains, leapfrog, pilot
        ramp = torch.sigmoid(torch.linspace(-steepness, steepness, temperatures + 1, dtype=torch.float64))
        self.betas = ((ramp - ramp[0]) / (ramp[-1] - ramp[0])).tolist()

    def step(self, x: Tensor, s: State, beta: float, length: Float[Tensor, " n"]) -> tuple[State, Tensor]:
        """One Hamiltonian Monte Carlo step at temperature β (Neal, 2011), and its acceptance probabilities."""

        def gradient(s):
            return s.prior_gradient + beta * s.likelihood_gradient

        def energy(s, momentum):
            return momentum.square().sum(1) / 2 - s.prior - beta * s.likelihood

        start, e = torch.randn_like(s.z), length[:, None]
        momentum, new = start + e / 2 * gradient(s), s
        for leap in range(self.leapfrog):
            new = self.model.state(x, new.z + e * momentum)
            momentum = momentum + (e if leap < self.leapfrog - 1 else e / 2) * gradient(new)
        # Dynamics that overflow are refused.
        probability = (energy(s, start) - energy(new, momentum)).exp().clamp(max=1).nan_to_num(0)
        accepted = torch.rand_like(probability) < probability
        both = zip(new, s, strict=True)
        chosen = [torch.where(accepted if a.ndim == 1 else accepted[:, None], a, b) for a, b in both]
        return State(*chosen), probability

    def tune(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "temperatures n"]:
        """The length of a leap for each temperature and image."""
        many = x.repeat(self.pilot, 1)
        s = self.model.state(many, self.model.prior.sample(len(many)).to(x))
        length = torch.full((len(x),), 0.3 * rms(self.model.prior), device=x.device, dtype=x.dtype)
        lengths = length.new_zeros(len(self.betas) - 2, len(x))
        for t, beta in enumerate(tqdm(self.betas[1:-1], "tuning", disable=None)):
            lengths[t] = length
            s, probability = self.step(many, s, beta, length.repeat(self.pilot))
            change = 0.2 * (probability.view(self.pilot, -1).mean(0) - ACCEPTANCE)
            length = length * change.exp()
        return lengths

    def anneal(self, x: Tensor, z: Tensor, lengths: Tensor, betas: list[float]) -> Float[Tensor, "chains n"]:
        """The log-weights of chains from `betas`' first to its last temperature."""
        many = x.repeat(self.chains, 1)
        s = self.model.state(many, z)
        weights = torch.zeros(len(many), dtype=torch.float64, device=x.device)
        for t, beta in enumerate(tqdm(betas[1:], "annealing", disable=None)):
            weights += (beta - betas[t]) * s.likelihood.double()
            if t < len(lengths):
                s, _ = self.step(many, s, beta, lengths[t].repeat(self.chains))
        return weights.view(self.chains, -1)

    @torch.no_grad
    def log_likelihood(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log p(x) of each image, float64, all of them and their chains at once: a lower bound in expectation."""
        z = self.model.prior.sample(self.chains * len(x)).to(x)
        weights = self.anneal(x, z, self.tune(x), self.betas)
        return weights.logsumexp(0) - math.log(self.chains)

    @torch.no_grad
    def bracket(self, n: int) -> Bracket:
        """Bidirectional Monte Carlo on `n` simulated images (Grosse et al., 2015).

        Backwards, chains start from the code that made the image and estimate 1 / p(x) without bias.
        """
        x, z = self.model.simulate(n)
        lengths = self.tune(x)
        start = self.model.prior.sample(self.chains * n).to(x)
        forward = self.anneal(x, start, lengths, self.betas)
        backward = self.anneal(x, z.repeat(self.chains, 1), lengths.flip(0), self.betas[::-1])
        constant = math.log(self.chains)
        return Bracket(forward.logsumexp(0) - constant, constant - backward.logsumexp(0))
