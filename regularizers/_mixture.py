"""Expectations of kernels over Gaussians and Gaussian mixtures, in closed form, with their gradients.

One identity serves all: for x - y ~ N(δ, V),

    E e^{-t|x - y|²} = |I + 2tV|^{-1/2} exp(-t δᵀ (I + 2tV)⁻¹ δ),

and in the eigenvectors of V it is a product over dimensions. A kernel is a mixture of such terms
(`_kernels.py`). V may be singular or zero.
"""

import math
from dataclasses import replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from regularizers import Prior
from regularizers._kernels import Kernel
from regularizers._pairs import SWEPT, reused

CHUNK = 2**18  # terms held at once
# Exponents below which e^x is no normal float32, which takes a CPU up to a hundred times as long, and e^x - 1 is -1
UNDERFLOW, MINUS_ONE = -87, -40
FELT = 1e-12  # of the largest: a term that adds less is left out where sums are in columns
NOTHING = -100  # an exponent of 2 below which a term adds nothing, nor a product with it anything that is not normal


def expectation(
    delta: Float[Tensor, "P D"],
    variance: Float[Tensor, "P D"],
    kernel: Kernel,
    gradient: bool = False,
    full: bool = False,
) -> tuple[Float[Tensor, " P"], Float[Tensor, "P D"] | None, Tensor | None]:
    """E k(|x|²) for x ~ N(δ, diag V): the value, its gradient in δ and in V, P Gaussians at a time.

    The gradient in V is (P, D), or (P, D, D) if `full`: that of all entries of V, at a diagonal V.
    """
    P, D = delta.shape
    t, a = (x.to(delta) for x in kernel.mixture())
    per = max(1, CHUNK // (len(t) * D))
    if per < P:
        parts = [
            expectation(delta[i : i + per], variance[i : i + per], kernel, gradient, full) for i in range(0, P, per)
        ]
        return tuple(None if part[0] is None else torch.cat(part) for part in zip(*parts, strict=True))
    tv = 2 * t[:, None] * variance[:, None, :]  # (P, M, D)
    q = 1 / (1 + tv)
    exponent = -0.5 * tv.log1p().sum(-1) - t * (q @ delta.square()[..., None]).squeeze(-1)  # (P, M)
    e = exponent.exp()
    value = (exponent.expm1() if kernel.increments else e) @ a
    if not gradient:
        return value, None, None
    ate = a * t * e
    g = (ate[:, None] @ q).squeeze(1)  # Σ a t q e, of the determinant and of the exponent
    weighted = q * (ate * t)[..., None]
    if full:
        h = torch.diag_embed(-g) + 2 * (weighted.mT @ q) * delta[:, :, None] * delta[:, None, :]
    else:
        h = -g + 2 * (weighted * q).sum(1) * delta.square()
    return value, -2 * delta * g, h


class Embedding(nn.Module):
    """The mean embedding of a Gaussian mixture, μ(z) = E_{y~p} k(z, y), ready for many z.

    Everything that does not depend on z is computed once, in float64.
    """

    def __init__(self, prior: Prior, kernel: Kernel):
        super().__init__()
        self.kernel = kernel
        S = prior.covariances.double()
        self.diagonal = not bool((S - torch.diag_embed(S.diagonal(dim1=1, dim2=2))).any())
        lam, U = (S.diagonal(dim1=1, dim2=2), None) if self.diagonal else torch.linalg.eigh(S)
        lam = lam.clamp(min=0)  # eigh of a singular matrix returns -1e-17
        t, a = (x.to(S.device) for x in kernel.mixture())
        tv = 2 * t * lam[..., None]  # (K, D, M)
        masses, precision, log_det = prior.weights.double()[:, None] * a, -t / (1 + tv), -0.5 * tv.log1p().sum(1)
        # what a term can add to the value and, as x e^{-t x²} is at most t^{-1/2}, to the slope
        felt = (masses * log_det.exp() * (1 + precision.abs().amax(1) * max(kernel.scales)).sqrt()).amax(0)
        kept = felt > FELT * felt.max()
        exponents = torch.cat([precision, log_det[:, None]], 1)[..., kept] / math.log(2)
        moments = (torch.cat([precision, torch.ones_like(masses)[:, None]], 1) * masses[:, None])[..., kept]
        buffers = {
            "means": prior.means.double(),
            "weights": prior.weights.double(),
            "covariances": S,
            "axes": U,
            "masses": masses,  # (K, M)
            "precision": precision,  # (K, D, M)
            "log_det": log_det,  # (K, M)
            "exponents": exponents.mT.contiguous(),  # (K, kept, D + 1)
            "moments": moments,  # (K, D + 1, kept)
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self._cast = {}

    def constants(self, like: Tensor) -> dict[str, Tensor | None]:
        """The constants in the type and on the device of `like`."""
        key = (like.dtype, like.device)
        if key not in self._cast:
            self._cast = {key: {k: None if b is None else b.to(like) for k, b in self._buffers.items()}}
        return self._cast[key]

    def forward(self, z: Float[Tensor, "n D"]) -> Float[Tensor, " n"]:
        """μ(z_i), without gradient."""
        return torch.stack([self.sum(row[None], gradient=False)[0] for row in z])

    def sum(self, z: Float[Tensor, "n D"], gradient: bool) -> tuple[Tensor, ...]:
        """Σ_i μ(z_i), in float64, and its gradient if asked."""
        if gradient and (len(z) > SWEPT or self.kernel.increments):
            return self.sum_in_columns(z)
        c = self.constants(z)
        K, M = c["masses"].shape
        per = max(1, CHUNK // (K * M))
        total, slopes = z.new_zeros((), dtype=torch.float64), []
        for part in z.split(per):
            delta = part - c["means"][:, None]  # (K, n, D)
            if c["axes"] is not None:
                delta = delta @ c["axes"]
            e = torch.baddbmm(c["log_det"][:, None], delta.square(), c["precision"])  # (K, n, M)
            e = e.clamp_(min=MINUS_ONE).expm1_() if self.kernel.increments else e.clamp_(min=UNDERFLOW).exp_()
            total += (e.sum(1) * c["masses"]).sum(dtype=torch.float64)
            if gradient:
                slope = 2 * delta * (e @ (c["precision"] * c["masses"][:, None]).mT)
                slopes.append((slope if c["axes"] is None else slope @ c["axes"].mT).sum(0))
        return (total, torch.cat(slopes)) if gradient else (total,)

    def sum_in_columns(self, z: Float[Tensor, "n D"]) -> tuple[Tensor, Tensor]:
        """The two of `sum`, faster for many codes: codes in columns, as in `swept_pair_sum`, and powers of 2.

        In float64 if the kernel is made of e^x - 1, as 2^y - 1, which loses digits only in float32:
        for any number of codes faster than float32's own e^x - 1.
        """
        precise = z.double() if self.kernel.increments else z
        c = self.constants(precise)
        K, M, _ = c["exponents"].shape
        workspace = reused(precise.new_empty, 1)
        total, slopes = z.new_zeros((), dtype=torch.float64), []
        for part in precise.split(max(1, CHUNK // (K * M))):
            delta = (part - c["means"][:, None]).mT  # (K, D, n)
            if c["axes"] is not None:
                delta = c["axes"].mT @ delta
            [e] = workspace(K, M, len(part))
            torch.bmm(c["exponents"], torch.cat([delta.square(), torch.ones_like(delta[:, :1])], 1), out=e)
            sums = c["moments"] @ e.clamp_(min=NOTHING).exp2_()
            total += sums[:, -1].sum(dtype=torch.float64)
            slope = 2 * delta * sums[:, :-1]
            slopes.append((slope if c["axes"] is None else c["axes"] @ slope).sum(0))
        if self.kernel.increments:
            total -= len(z) * c["masses"].sum()
        return total, torch.cat(slopes, 1).mT

    def sum_of_gaussians(
        self, mean: Float[Tensor, "n D"], variance: Float[Tensor, "n D"], gradient: bool
    ) -> tuple[Tensor, ...]:
        """Σ_i E μ(z_i) for z_i ~ N(mean_i, diag variance_i), and its gradients in both if asked."""
        c = self.constants(mean)
        n, D = mean.shape
        delta = (mean[:, None] - c["means"]).flatten(0, 1)  # (n K, D)
        U = None
        if self.diagonal:
            lam = (variance[:, None] + c["covariances"].diagonal(dim1=1, dim2=2)).flatten(0, 1)
        else:
            lam, U = torch.linalg.eigh((torch.diag_embed(variance)[:, None] + c["covariances"]).flatten(0, 1))
            lam, delta = lam.clamp(min=0), (U.mT @ delta[..., None]).squeeze(-1)
        value, in_delta, in_v = expectation(delta, lam, self.kernel, gradient, full=U is not None)
        total = (value.view(n, -1) @ c["weights"]).sum(dtype=torch.float64)
        if not gradient:
            return (total,)
        if U is not None:  # back to the axes of the latent space
            in_delta = (U @ in_delta[..., None]).squeeze(-1)
            in_v = ((U @ in_v) * U).sum(-1)
        w = c["weights"][:, None]
        return total, (in_delta.view(n, -1, D) * w).sum(1), (in_v.view(n, -1, D) * w).sum(1)

    @cached_property
    def self_energy(self) -> float:
        """E k(y, y') over independent y, y' ~ p, computed once, in float64."""
        total = 0.0
        for k in range(len(self.weights)):  # K² matrices at once would be large for a swiss roll
            delta, V = self.means - self.means[k], self.covariances + self.covariances[k]
            lam, U = torch.linalg.eigh(V)
            delta = (U.mT @ delta[..., None]).squeeze(-1)
            value, _, _ = expectation(delta, lam.clamp(min=0), self.kernel)
            total += float(self.weights[k] * (self.weights @ value))
        return total


def is_gaussian(posterior: Distribution) -> bool:
    """True for N(mean, diag variance) and for products with such a part, whose others are points."""
    return any(isinstance(part, Independent) for part in getattr(posterior, "parts", (posterior,)))


def gaussian_pair_sum(
    mean: Float[Tensor, "n D"],
    variance: Float[Tensor, "n D"],
    kernel: Kernel,
    gradient: bool = True,
    diagonal: bool = False,
) -> tuple[Tensor, ...]:
    """Σ_{i≠j} E k(z_i, z_j) for independent z_i ~ N(mean_i, diag variance_i), and its gradients in both if asked.

    With `diagonal`, plus Σ_i E k(z_i, z_i') for two independent draws of each: that rewards a large variance.
    """
    n = len(mean)
    total = mean.new_zeros((), dtype=torch.float64)
    in_mean, in_variance = torch.zeros_like(mean), torch.zeros_like(variance)
    rows = max(1, CHUNK // (n * mean.shape[1]))
    for start in range(0, n, rows):
        i, j = torch.triu_indices(min(rows, n - start), n - start, offset=int(not diagonal), device=mean.device) + start
        value, d, v = expectation(mean[i] - mean[j], variance[i] + variance[j], kernel, gradient)
        twice = 2.0 - (i == j).to(mean)  # each pair stands for two, but for i = j
        total += (value * twice).sum(dtype=torch.float64)
        if gradient:
            d, v = d * twice[:, None], v * twice[:, None]
            in_mean.index_add_(0, i, d).index_add_(0, j, d, alpha=-1)
            in_variance.index_add_(0, i, v).index_add_(0, j, v)
    return (total, in_mean, in_variance) if gradient else (total,)


def normalised(prior: Prior, kernel: Kernel) -> Kernel:
    """The kernel with each scale divided by its |E k(y, y')|, so that every scale weighs the same."""
    return replace(kernel, weights=tuple(1 / abs(Embedding(prior, k).self_energy) for k in kernel.each()))
