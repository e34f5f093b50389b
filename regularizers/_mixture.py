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

CHUNK = 2**18  # terms held at once
FELT = 1e-12  # of the largest: a term that adds less is left out
NOTHING = -100  # an exponent of 2 below which a term adds nothing, nor a product with it anything that is not normal
FAR = 1e4  # squared distance, in the kernel's scale, from which the quadrature of a kernel without bound is rough


def expectation(
    delta: Float[Tensor, "P D"], variance: Float[Tensor, "P D"], kernel: Kernel, full: bool = False
) -> tuple[Float[Tensor, " P"], Float[Tensor, "P D"], Tensor]:
    """E k(|x|²) for x ~ N(δ, diag V): the value, its gradient in δ and in V, P Gaussians at a time.

    The gradient in V is (P, D), or (P, D, D) if `full`: that of all entries of V, at a diagonal V.
    """
    P, D = delta.shape
    t, a = (x.to(delta) for x in kernel.mixture())
    per = max(1, CHUNK // (len(t) * D))
    if per < P:
        parts = [expectation(delta[i : i + per], variance[i : i + per], kernel, full) for i in range(0, P, per)]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))
    if kernel.homogeneous:  # E k(c x) = c E k(x): to the length for which the quadrature is made
        c2 = (delta.square() + variance).sum(1, keepdim=True).clamp(min=torch.finfo(delta.dtype).tiny) / kernel.scales[
            0
        ]
        c, delta, variance = c2.sqrt(), delta / c2.sqrt(), variance / c2
    tv = 2 * t[:, None] * variance[:, None, :]  # (P, M, D)
    q = 1 / (1 + tv)
    exponent = -0.5 * tv.log1p().sum(-1) - t * (q @ delta.square()[..., None]).squeeze(-1)  # (P, M)
    e = exponent.exp()
    value = (exponent.expm1() if kernel.homogeneous else e) @ a
    ate = a * t * e
    g = (ate[:, None] @ q).squeeze(1)  # Σ a t q e, of the determinant and of the exponent
    weighted = q * (ate * t)[..., None]
    if full:
        h = torch.diag_embed(-g) + 2 * (weighted.mT @ q) * delta[:, :, None] * delta[:, None, :]
    else:
        h = -g + 2 * (weighted * q).sum(1) * delta.square()
    if kernel.homogeneous:
        value, h = value * c.squeeze(1), h / (c[..., None] if full else c)
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
        buffers = {
            "means": prior.means.double(),
            "weights": prior.weights.double(),
            "covariances": S,
            "centre": prior.weights.double() @ prior.means.double(),
            "axes": U,
            "mass": masses.sum() if kernel.homogeneous else None,
            "exponents": torch.cat([precision, log_det[:, None]], 1)[..., kept].mT / math.log(2),  # (K, M, D + 1)
            "moments": (torch.cat([precision, torch.ones_like(log_det)[:, None]], 1) * masses[:, None])[..., kept],
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, None if buffer is None else buffer.contiguous(), persistent=False)
        self._cast = {}

    def constants(self, like: Tensor) -> dict[str, Tensor | None]:
        """The constants in the type and on the device of `like`."""
        key = (like.dtype, like.device)
        if key not in self._cast:
            self._cast = {key: {k: None if b is None else b.to(like) for k, b in self._buffers.items()}}
        return self._cast[key]

    def sum(self, z: Float[Tensor, "n D"]) -> tuple[Tensor, Tensor]:
        """Σ_i μ(z_i), and its gradient, in float64.

        Codes lie in columns, and e^x is 2^y. Of e^x - 1 float32 would lose the digits: such a kernel is in float64.
        """
        if self.kernel.homogeneous:
            z = z.double()
            far = (z - self.centre).square().sum(1) > FAR * self.kernel.scales[0]
            if far.any():  # there the posterior's expectation serves, which is right at any distance
                near, total, gradient = ~far, z.new_zeros(()), torch.empty_like(z)
                if near.any():
                    total, gradient[near] = self.sum(z[near])
                beyond, gradient[far], _ = self.sum_of_gaussians(z[far], torch.zeros_like(z[far]))
                return total + beyond, gradient
        c = self.constants(z)
        K, M, _ = c["exponents"].shape
        total, slopes = z.new_zeros((), dtype=torch.float64), []
        for part in z.split(max(1, CHUNK // (K * M))):
            delta = (part - c["means"][:, None]).mT  # (K, D, n)
            if c["axes"] is not None:
                delta = c["axes"].mT @ delta
            e = torch.bmm(c["exponents"], torch.cat([delta.square(), torch.ones_like(delta[:, :1])], 1))
            sums = c["moments"] @ e.clamp_(min=NOTHING).exp2_()
            total += sums[:, -1].sum(dtype=torch.float64)
            slope = 2 * delta * sums[:, :-1]
            slopes.append((slope if c["axes"] is None else c["axes"] @ slope).sum(0))
        if self.kernel.homogeneous:
            total -= len(z) * c["mass"]
        return total, torch.cat(slopes, 1).mT

    def sum_of_gaussians(
        self, mean: Float[Tensor, "n D"], variance: Float[Tensor, "n D"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Σ_i E μ(z_i) for z_i ~ N(mean_i, diag variance_i), and its gradients in both."""
        c = self.constants(mean)
        n, D = mean.shape
        delta = (mean[:, None] - c["means"]).flatten(0, 1)  # (n K, D)
        U = None
        if self.diagonal:
            lam = (variance[:, None] + c["covariances"].diagonal(dim1=1, dim2=2)).flatten(0, 1)
        else:
            lam, U = torch.linalg.eigh((torch.diag_embed(variance)[:, None] + c["covariances"]).flatten(0, 1))
            lam, delta = lam.clamp(min=0), (U.mT @ delta[..., None]).squeeze(-1)
        value, in_delta, in_v = expectation(delta, lam, self.kernel, full=U is not None)
        total = (value.view(n, -1) @ c["weights"]).sum(dtype=torch.float64)
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
            value, *_ = expectation(delta, lam.clamp(min=0), self.kernel)
            total += float(self.weights[k] * (self.weights @ value))
        return total


def is_gaussian(posterior: Distribution) -> bool:
    """True for N(mean, diag variance) and for products with such a part, whose others are points."""
    return any(isinstance(part, Independent) for part in getattr(posterior, "parts", (posterior,)))


def gaussian_pair_sum(
    mean: Float[Tensor, "n D"], variance: Float[Tensor, "n D"], kernel: Kernel, diagonal: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_{i≠j} E k(z_i, z_j) for independent z_i ~ N(mean_i, diag variance_i), and its gradients in both.

    With `diagonal`, plus Σ_i E k(z_i, z_i') for two independent draws of each: that rewards a large variance.
    """
    n = len(mean)
    total = mean.new_zeros((), dtype=torch.float64)
    in_mean, in_variance = torch.zeros_like(mean), torch.zeros_like(variance)
    rows = max(1, CHUNK // (n * mean.shape[1]))
    for start in range(0, n, rows):
        i, j = torch.triu_indices(min(rows, n - start), n - start, offset=int(not diagonal), device=mean.device) + start
        value, d, v = expectation(mean[i] - mean[j], variance[i] + variance[j], kernel)
        twice = 2.0 - (i == j).to(mean)  # each pair stands for two, but for i = j
        total += (value * twice).sum(dtype=torch.float64)
        d, v = d * twice[:, None], v * twice[:, None]
        in_mean.index_add_(0, i, d).index_add_(0, j, d, alpha=-1)
        in_variance.index_add_(0, i, v).index_add_(0, j, v)
    return total, in_mean, in_variance


def normalised(prior: Prior, kernel: Kernel) -> Kernel:
    """The kernel with each scale divided by its |E k(y, y')|, so that every scale weighs the same."""
    return replace(kernel, weights=tuple(1 / abs(Embedding(prior, k).self_energy) for k in kernel.each()))
