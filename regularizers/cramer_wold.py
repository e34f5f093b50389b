"""Cramér-Wold distance in closed form (Knop et al., 2020)."""

import math

import numpy as np
import torch
from scipy.special import hyp1f1

from regularizers import Regularizer, rms, too_few
from regularizers._ranges import Positive

U = np.linspace(0, 24, 1025)


class CramerWold(Regularizer):
    r"""$L^2$ distance of the smoothed densities of one-dimensional projections, averaged over all directions.

    $$\langle \mathcal{N}(a, \alpha I), \mathcal{N}(b, \beta I) \rangle = \frac{1}{\sqrt{2 \pi v}}\,
    \varphi_D\Big(\frac{\|a - b\|^2}{2 v}\Big), \quad v = \alpha + \beta + 2\gamma, \quad
    \varphi_D(s) = {}_1F_1(\tfrac12; \tfrac D2; -s)$$

    gives all terms of $\langle q, q \rangle - 2 \langle q, p \rangle + \langle p, p \rangle$ for codes
    (variance 0) and a mixture of isotropic Gaussians: nothing is sampled. `gamma` is $\gamma$ after division by the
    prior's standard deviation per dimension; without it, Silverman's $(4 / 3n)^{2/5}$ for $n$ codes. At
    $\gamma = \tfrac12$, times $2 \pi$, it is `sigreg` with all directions and all frequencies.
    $\varphi_D$ is scipy's, interpolated to float32 precision; the authors approximate it for large $D$.
    `log` takes the logarithm, as the paper does: it magnifies small distances and has no lower
    bound. `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: the plain distance, below $1 / \sqrt{\pi \gamma}$ for any codes.
    """

    title = "Cramér-Wold"
    cites = ("knop2020", "balestriero2025", "zimmermann2025")

    def __init__(self, prior, log: bool = False, gamma: Positive | None = None):
        super().__init__(prior)
        self.log, self.gamma = log, gamma
        s = np.minimum(np.expm1(U), 1e300 if prior.dim > 1 else 700.0)  # in one dimension it is exp(-s)
        log_phi = np.log(hyp1f1(0.5, prior.dim / 2, -s))  # in u = log(1 + s) its tail is straight
        self.register_buffer("log_phi", torch.tensor(log_phi).float(), persistent=False)
        self.register_buffer("slope", torch.tensor(np.gradient(log_phi, edge_order=2)).float(), persistent=False)

    @classmethod
    def unsupported(cls, prior, encoder):
        spread = prior.covariances.diagonal(dim1=1, dim2=2).mean(-1)[:, None, None]
        if not torch.allclose(prior.covariances, spread * torch.eye(prior.dim, device=spread.device)):
            return "exact only for isotropic components"
        return super().unsupported(prior, encoder)

    def forward(self, codes, posterior):
        too_few(codes)
        p, s, gamma = self.prior, rms(self.prior), self.gamma or (4 / (3 * len(codes))) ** 0.4
        z, mu, alpha = codes / s, p.means / s, p.covariances[:, 0, 0] / s**2
        qq = self.overlap(z, z, alpha.new_tensor(2 * gamma)).mean()
        qp = self.overlap(z, mu, alpha + 2 * gamma).mean(0) @ p.weights
        pp = p.weights @ self.overlap(mu, mu, alpha[:, None] + alpha + 2 * gamma) @ p.weights
        distance = qq - 2 * qp + pp
        return distance.clamp(min=1e-12).log() if self.log else distance

    def overlap(self, a, b, v):
        """The inner product above for all pairs, with φ by cubic Hermite interpolation."""
        r2 = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
        u = torch.log1p(r2 / (2 * v)).clamp(max=U[-1]) / U[1]
        i = u.detach().long().clamp(max=len(U) - 2)
        t, f, g, df, dg = u - i, self.log_phi[i], self.log_phi[i + 1], self.slope[i], self.slope[i + 1]
        cubic = f + t * (df + t * (3 * (g - f) - 2 * df - dg + t * (2 * (f - g) + df + dg)))
        return cubic.exp() / (2 * math.pi * v).sqrt()
